"""`bench data`: check, fake and convert datasets."""

from pathlib import Path
from typing import Annotated

import typer

from bench.base.errors import InputError
from bench.base.paths import named_path
from bench.cli.options import DataRoot, Plugins


# Imports of the library are local, so that `bench --help` is fast: torch alone takes seconds.
# ruff: noqa: PLC0415
def check(
    dataset: Annotated[str, typer.Argument(help="A dataset's name, or a folder with feature files.")],
    data_root: DataRoot = None,
    all_values: Annotated[
        bool, typer.Option("--all-values", help="Check every feature, not only a sample of large files.")
    ] = False,
    plugin: Plugins = None,
) -> int:
    """Check that a dataset is complete and well-formed; show what is missing and where it belongs."""
    from bench.base.progress import progress
    from bench.data.check import check_files
    from bench.data.feature_files import FeatureFiles
    from bench.data.folder import FolderSource
    from bench.registry import load_registry
    from bench.report.listing import dataset_table, files_table

    source = load_registry(plugin or [], data_root).dataset(dataset)
    if isinstance(source, FolderSource):
        sizes = source.sizes if isinstance(source, FeatureFiles) else None
        files = check_files(source.layout, sizes, all_values=all_values, progress=progress())
        print(files_table(files), end="\n\n")
        wrong = [file for file in files if not file.ok]
        if wrong:
            origin = f"; the files come from {source.origin}" if isinstance(source, FeatureFiles) else ""
            count = f"{len(wrong)} of {len(files)} files are missing or invalid in {source.layout.folder}"
            raise InputError(f"{source.name}: {count}, the first: {wrong[0].name}: {wrong[0].state}{origin}")
    print(dataset_table(source.load()))
    return 0


def fake(
    dataset: Annotated[str, typer.Argument(help="The name of a dataset with feature files.")],
    out: Annotated[
        Path,
        typer.Option(help="Folder for the files; none of them may exist yet.", parser=named_path, metavar="PATH"),
    ],
    scale: Annotated[float, typer.Option(help="Share of the dataset's videos; 1 is full size.")] = 0.01,
    seed: Annotated[int, typer.Option(help="Random seed; equal seeds give equal files.")] = 0,
    plugin: Plugins = None,
) -> int:
    """Write a stand-in for a dataset: the same file names, keys, shapes and splits, with synthetic contents."""
    from bench.base.files import free_space, gigabytes
    from bench.base.progress import progress
    from bench.base.text import closest, say
    from bench.data.feature_files import FeatureFiles
    from bench.data.stand_in import plan_stand_in
    from bench.registry import load_registry

    datasets = load_registry(plugin or []).datasets
    known = {name: source for name, source in datasets.items() if issubclass(source, FeatureFiles)}
    if dataset not in known:
        raise InputError(f"no stand-in for '{dataset}' can be made: {closest(dataset, known)}")
    planned = plan_stand_in(known[dataset], out, scale, seed)
    say(f"{out}: {gigabytes(planned.size)} to write, {gigabytes(free_space(out))} free")
    planned.write(progress())
    say(f"{out}: done; try it with `bench data check {dataset} --data-root {out}`")
    return 0


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
    """Convert a dataset to contiguous files, which train fastest; whole, or not at all."""
    from bench.base.files import free_space, gigabytes
    from bench.base.progress import progress
    from bench.base.text import say
    from bench.data.convert import Conversion, conversion_precision, require_new_folder
    from bench.registry import load_registry

    precision = conversion_precision(to)
    require_new_folder(out)
    conversion = Conversion(load_registry(plugin or [], data_root).dataset(dataset).load(), precision, out)
    say(f"{out}: {gigabytes(conversion.size)} in {to}, {gigabytes(free_space(out))} free")
    conversion.write(progress())
    print(out)
    return 0
