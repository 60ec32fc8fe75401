"""The verb that compares results folders."""

from pathlib import Path
from typing import Annotated

import typer

from bench.paths import named_path

# Importing anything of the library here would cost `bench --help` its speed: torch alone takes seconds.
# ruff: noqa: PLC0415


def compare(
    first: Annotated[
        Path, typer.Argument(metavar="A", help="A results folder, such as results/runs.", parser=named_path)
    ],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.", parser=named_path)],
) -> int:
    """Show two sets of stored runs side by side, in quality and in cost; * marks what is more than noise."""
    from bench.report.comparison import compare_folders

    print(compare_folders(first, second))
    return 0
