"""A report that would come out as it stands need not be drawn again: figures take most of a report's time."""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.integrity import sha256
from bench.report.runs import ReportRun

NOTE = ".rendered.json"
LIBRARIES = ("matplotlib", "numpy", "pandas", "tabulate")


def ingredients(runs: Iterable[ReportRun]) -> str:
    """A digest of all that a report is made of: records, which hold their files' checksums, code and libraries."""
    digest = hashlib.sha256()
    for run in runs:
        digest.update(run.record.model_dump_json().encode())
    for name in LIBRARIES:
        digest.update(f"{name} {version(name)}\n".encode())
    digest.update(_code())
    return digest.hexdigest()


def note(folder: Path, made_of: str) -> None:
    """Keep beside a report what it was made of, with the checksums of its files."""
    (folder / NOTE).write_text(json.dumps({"made_of": made_of, "files": _checksums(folder)}), encoding="utf-8")


def stands(folder: Path, made_of: str) -> bool:
    """Does the folder hold, whole and unchanged, a report made of this?"""
    try:
        kept = json.loads((folder / NOTE).read_bytes())
        return bool(kept == {"made_of": made_of, "files": _checksums(folder)})
    except (OSError, ValueError):
        return False


@cache  # the code that runs is the one that was loaded
def _code() -> bytes:
    """A digest of this package and of the published numbers that reports show."""
    digest = hashlib.sha256()
    for source in sorted(_sources(files("bench"), ".py") + _sources(files("bench.results"), ".csv"), key=str):
        digest.update(source.read_bytes())
    return digest.digest()


def _checksums(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != NOTE)
    return {path.relative_to(folder).as_posix(): sha256(path) for path in paths}


def _sources(folder: Any, ending: str) -> list[Any]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _sources(entry, ending)
        elif entry.name.endswith(ending):
            found.append(entry)
    return found
