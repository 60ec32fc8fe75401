"""`bench submit`: results for others."""

from pathlib import Path
from typing import Annotated

import typer

from bench.base.paths import named_path
from bench.cli.options import RESULTS, Results

# Imports of the library are local, so that `bench --help` is fast: torch alone takes seconds.
# ruff: noqa: PLC0415


def submit(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders of finished runs, or folders above them.", parser=named_path, metavar="RUN..."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The file to write.", parser=named_path, metavar="FILE.zip")],
    results: Results = RESULTS,
) -> int:
    """Pack runs for a collection of results: records, codes and values per query, no weights."""
    from bench.base.files import gigabytes
    from bench.store.submission import runs_at, write_submission

    found = runs_at(runs, results)
    write_submission(found, out)
    print(f"{out}: {len(found)} run{'s' * (len(found) != 1)}, {gigabytes(out.stat().st_size)}, without weights")
    return 0
