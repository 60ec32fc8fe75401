"""The verb that rewrites a dataset into the files that train fastest."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import DataRoot, Plugins
from bench.paths import named_path

# Importing anything of the library here would cost `bench --help` its speed: torch alone takes seconds.
# ruff: noqa: PLC0415


def convert(
    dataset: Annotated[str, typer.Argument(help="A dataset's name, or a folder with feature files.")],
    to: Annotated[str, typer.Option(help="float16, bfloat16 or float32.")],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the converted dataset; give it to --datasets.", parser=named_path, metavar="PATH"
        ),
    ],
    data_root: DataRoot = None,
    plugin: Plugins = None,
) -> int:
    """Rewrite a dataset once into contiguous files that train fastest; the same call again goes on, or checks it."""
    from bench.data.convert import Conversion, conversion_precision, require_own_folder
    from bench.data.space import free_space, gigabytes
    from bench.news import say
    from bench.progress import progress
    from bench.registry import load_registry

    precision = conversion_precision(to)
    require_own_folder(out)
    conversion = Conversion(load_registry(plugin or [], data_root).dataset(dataset).load(), precision, out)
    size, left, free = (gigabytes(size) for size in (conversion.size, conversion.left(), free_space(out)))
    say(f"{out}: {size} in {to}, {left} to write, {free} free")
    conversion.write(progress())
    say(f"{out}: complete, every file as its checksum says")
    print(out)
    return 0
