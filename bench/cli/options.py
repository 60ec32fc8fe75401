"""Options shared by several verbs, and parsing of comma-separated lists."""

from pathlib import Path
from typing import Annotated

import typer

from bench.base.errors import InputError
from bench.base.paths import named_path

DEFAULT_DATASET = "moving-digits"
Results = Annotated[Path, typer.Option("--results", help="Folder of stored runs.", parser=named_path, metavar="PATH")]
Report = Annotated[Path, typer.Option("--report", help="Folder for the report.", parser=named_path, metavar="PATH")]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin", help="Python file or folder with plug-ins; repeatable.", parser=named_path, metavar="PATH"
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        help="Folder of datasets known by name: DIR/NAME/, or DIR itself. Default: $VHBENCH_DATA.",
        parser=named_path,
        metavar="PATH",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Existing = Annotated[str, typer.Option(help="Policy for stored runs: reuse, rerun, retry-failed or only-cached.")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads per run; default: 1 on every machine."),
]
THREADS = 1
"""Of a run, unless asked otherwise. Sums are split among threads, so that codes would depend on the number of cores."""
Settings = Annotated[list[str] | None, typer.Option("--set", help="A parameter, such as mcmsh.epochs=5; repeatable.")]
RESULTS, REPORT, PAPER = Path("results/runs"), Path("reports/latest"), Path("reports/paper")


def names_of(text: str | None) -> list[str]:
    """The items of a comma-separated list."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def numbers_of(option: str, text: str | None) -> list[int]:
    """The integers of a comma-separated list. Raises InputError for anything else."""
    try:
        return [int(part) for part in names_of(text)]
    except ValueError:
        raise InputError(f"{option} {text}: expected comma-separated integers, such as 16,32,64") from None
