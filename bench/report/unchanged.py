"""Recognition of a report that would come out as it stands: drawing its figures again would take most of the time."""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.report.runs import ReportRun

REPORT = "report.md"
PLACE = re.compile(r"(tables/|figures/)?[^/\\]*[^/\\.][^/\\]*")
"""A file of a document, below its folder."""
LIBRARIES = ("jinja2", "markdown-it-py", "matplotlib", "numpy", "pandas", "tabulate")
SOURCES = (".py", ".html", ".css", ".js")


def ingredients(runs: Sequence[ReportRun]) -> str:
    """A digest of all that a report depends on: records, with checksums of files; names of classes, code, libraries."""
    digest = hashlib.sha256()
    for run in runs:
        digest.update(run.record.model_dump_json().encode())
    digest.update(repr(dict.fromkeys((run.dataset, run.class_names) for run in runs)).encode())
    for name in LIBRARIES:
        digest.update(f"{name} {version(name)}\n".encode())
    digest.update(_code())
    return digest.hexdigest()


def digest(content: bytes) -> str:
    """The SHA-256 of a file's contents, whichever line ends git has given it."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def note_of(folder: Path, file: str) -> Path:
    """The file that lists a document's ingredients and files: `{"made_of": digest, "files": {name: digest}}`."""
    return folder / f".{file}.json"


def written(folder: Path, file: str) -> dict[str, str]:
    """The files of a document in the folder, with their digests."""
    return _noted(folder, file)[1]


def stands(folder: Path, file: str, made_of: str) -> bool:
    """Whether the folder holds, whole and unchanged, the document with these ingredients."""
    kept, files = _noted(folder, file)
    try:
        return kept == made_of and all(digest((folder / name).read_bytes()) == found for name, found in files.items())
    except OSError:
        return False


def _noted(folder: Path, file: str) -> tuple[str, dict[str, str]]:
    try:
        noted = json.loads(note_of(folder, file).read_bytes())
        files = {str(name): str(found) for name, found in noted["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "", {}
    # What a note says that came from elsewhere must lead nowhere else.
    inside = {name: found for name, found in files.items() if PLACE.fullmatch(name)}
    return str(noted.get("made_of", "")), inside


@cache  # the code that runs is the one that was loaded
def _code() -> bytes:
    """A digest of this package and of the published numbers that reports show."""
    digest = hashlib.sha256()
    for source in sorted(_sources(files("bench"), SOURCES) + _sources(files("bench.results"), ".csv"), key=str):
        digest.update(source.read_bytes())
    return digest.digest()


def _sources(folder: Any, endings: str | tuple[str, ...]) -> list[Any]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _sources(entry, endings)
        elif entry.name.endswith(endings):
            found.append(entry)
    return found
