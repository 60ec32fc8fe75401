"""Verbs that look after datasets."""

from typing import Annotated

import typer

from bench.cli.options import Plugins

# Importing anything of the library here would cost `bench --help` its speed: torch alone takes seconds.
# ruff: noqa: PLC0415


def check(
    dataset: Annotated[str, typer.Argument(help="A dataset's name, or a folder with feature files.")],
    plugin: Plugins = None,
) -> int:
    """Read a dataset whole and say whether it is complete and well-formed."""
    from bench.listing import dataset_table
    from bench.registry import load_registry

    source = load_registry(plugin or []).dataset(dataset)
    print(dataset_table(source.load()))
    return 0
