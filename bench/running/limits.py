"""Parsing of limits: times, amounts of memory, shares of a sweep."""

import math
import re
from collections.abc import Sequence
from typing import TypeVar

from bench.base.errors import InputError

Item = TypeVar("Item")
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


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


def duration(seconds: float) -> str:
    """A readable time: `45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _parse(option: str, text: str, units: dict[str, float] | dict[str, int], expected: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text.strip())
    factor = {unit.lower(): value for unit, value in units.items()}.get(found[2].lower()) if found else None
    amount = float(found[1]) * factor if found and factor else 0.0
    if not 0 < amount < math.inf:
        raise InputError(f"{option} {text}: expected {expected}")
    return amount
