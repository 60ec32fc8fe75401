"""`bench submit` and `bench site`: results for others, and of others."""

from pathlib import Path
from typing import Annotated

import typer

from bench.base.paths import named_path
from bench.cli.options import RESULTS, DataRoot, Plugins, Results, names_of

# Imports of the library are local, so that `bench --help` is fast: torch alone takes seconds.
# ruff: noqa: PLC0415
COMMUNITY = Path("results/community")
"""A folder for each contributor."""


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


def site(
    out: Annotated[Path, typer.Option("--out", help="The folder to write.", parser=named_path, metavar="DIR")],
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Results folders, each a set; default: results/runs and those in results/community.",
            parser=named_path,
            metavar="[RESULTS...]",
        ),
    ] = None,
    reencode: Annotated[
        int, typer.Option(min=0, help="Encode this many videos of every run again, where its encoder is here.")
    ] = 0,
    datasets: Annotated[
        str | None, typer.Option(help="Folders of feature files that runs used; others are found by name.")
    ] = None,
    data_root: DataRoot = None,
    plugin: Plugins = None,
) -> int:
    """Write a static leaderboard over sets of results, every number of them computed again."""
    from bench.base.text import say
    from bench.registry import load_registry
    from bench.report.site import write_site
    from bench.store.recompute import recomputation

    known = [folder for folder in (RESULTS, *sorted(COMMUNITY.glob("*"))) if folder.is_dir()]
    proof = recomputation(load_registry(plugin or [], data_root), names_of(datasets), reencode)
    print(write_site(results or known or [RESULTS], out, proof, say))
    return 0
