"""Options shared by several verbs, and parsing of their values: lists, times, amounts of memory, shards."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from bench.base.errors import InputError
from bench.base.paths import named_path

Item = TypeVar("Item")
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
Existing = Annotated[
    str,
    typer.Option(help="Policy for stored runs: reuse, rerun, retry-failed, remeasure (their costs) or only-cached."),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads per run; default: 1 on every machine."),
]
THREADS = 1
"""Of a run, unless asked otherwise. Sums are split among threads, so that codes would depend on the number of cores."""
Settings = Annotated[list[str] | None, typer.Option("--set", help="A parameter, such as mcmsh.epochs=5; repeatable.")]
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
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


def parse_time(option: str, text: str) -> float:
    """Seconds of a time such as `45s`, `90m` or `2h`. Raises InputError for anything else."""
    return _parse(option, text, SECONDS, "a time such as 45s, 90m or 2h")


def parse_memory(option: str, text: str) -> int:
    """Bytes of an amount such as `8GB` or `512MiB`. Raises InputError for anything else."""
    size = int(_parse(option, text, BYTES, "an amount such as 8GB or 512MiB"))
    if not size:
        raise InputError(f"{option} {text}: less than one byte; expected an amount such as 8GB or 512MiB")
    return size


def shard_of(items: Sequence[Item], text: str) -> list[Item]:
    """The items of a shard such as `3/16`: every sixteenth, from the third on.

    Raises InputError if the text is not a shard.
    """
    # int() refuses thousands of digits.
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"--shard {text}: expected a share such as 3/16, from 1/16 to 16/16")
    return list(items[int(found[1]) - 1 :: int(found[2])])


def _parse(option: str, text: str, units: dict[str, float] | dict[str, int], expected: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text.strip())
    factor = {unit.lower(): value for unit, value in units.items()}.get(found[2].lower()) if found else None
    amount = float(found[1]) * factor if found and factor else 0.0
    if not 0 < amount < math.inf:
        raise InputError(f"{option} {text}: expected {expected}")
    return amount
