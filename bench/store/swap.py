"""Atomic replacement of run folders: written under a hidden name, then renamed.

Hidden names hold host and process id, which distinguishes leftovers of dead processes from what others are writing,
even on other machines that share the file system. Replacing a folder takes two renames; if a process dies between
them, the next reader undoes the first.
"""

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.base.atomic import sync, sync_tree
from bench.base.files import is_litter
from bench.base.processes import exists, machine_name

OLD = ".old"
RUN_NAME = re.compile(r"\d+-[0-9a-f]{12}")
HIDDEN = re.compile(
    r"\.(?P<run>\d+-[0-9a-f]{12})\.(?P<host>[a-z0-9-]+)\.(?P<process>\d+)(?P<ending>\.old|\.record)?"
)  # fmt: skip
DAY = 24 * 3600.0


@dataclass
class Found:
    """The content of a results folder, in order of names."""

    runs: list[Path] = field(default_factory=list)
    """Folders of runs, including those that an interrupted replacement left absent."""
    hidden: list[Path] = field(default_factory=list)
    """Folders that are being written, or leftovers of dead writers."""
    foreign: list[Path] = field(default_factory=list)
    """Paths that are not from this package."""


def look_through(root: Path) -> Found:
    """The content of `<dataset>/<method>/`; hidden folders of the root are skipped."""
    found = Found()
    runs: set[Path] = set()
    for dataset in _visible(root, found):
        for method in _visible(dataset, found):
            for entry in _entries(method):
                hidden = HIDDEN.fullmatch(entry.name)
                if hidden:
                    found.hidden.append(Path(entry.path))
                    if hidden["ending"] == OLD:
                        runs.add(method / hidden["run"])
                elif RUN_NAME.fullmatch(entry.name) and entry.is_dir():
                    runs.add(method / entry.name)
                else:
                    found.foreign.append(Path(entry.path))
    found.runs = sorted(runs)
    return found


def hidden_beside(final: Path, ending: str = "") -> Path:
    """The hidden path at which this process writes the replacement of the run `final`."""
    return final.parent / f".{final.name}.{machine_name()}.{os.getpid()}{ending}"


def put_in_place(written: Path, final: Path) -> Path | None:
    """Rename a complete folder to its place. Returns the new path of the folder that it replaced, if any."""
    sync_tree(written)
    old = written.with_name(f"{written.name}{OLD}")
    while True:
        moved = _moved(final, old)
        try:
            written.rename(final)
        except BaseException as error:
            if moved:
                put_back(final)
            if isinstance(error, OSError) and error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                continue  # another process stored or restored the same run meanwhile
            raise
        sync(final.parent)
        return old if moved else None


def put_back(final: Path) -> bool:
    """Undo a replacement whose process died; return whether there was one. A live process notices, and repeats it."""
    for entry in _entries(final.parent):
        hidden = HIDDEN.fullmatch(entry.name)
        if hidden and hidden["run"] == final.name and hidden["ending"] == OLD:
            try:
                Path(entry.path).rename(final)
            except OSError:  # another process was faster, or the folder is read-only
                return final.exists()
            return True
    return False


def replaced_by(hidden: Path) -> Path | None:
    """The former path of a folder that was moved aside; None for one that is being written."""
    name = HIDDEN.fullmatch(hidden.name)
    return hidden.parent / name["run"] if name and name["ending"] == OLD else None


def is_leftover(hidden: Path) -> bool:
    """Whether the writer has ended: its process, if it ran on this machine; else after a day without a change."""
    name = HIDDEN.fullmatch(hidden.name)
    if name is None:
        return False
    if name["host"] == machine_name():
        return not exists(int(name["process"]))
    try:
        return time.time() - hidden.stat().st_ctime > DAY
    except OSError:
        return False


def _moved(final: Path, old: Path) -> bool:
    shutil.rmtree(old, ignore_errors=True)
    try:
        final.rename(old)
    except FileNotFoundError:
        return False
    return True


def _visible(folder: Path, found: Found) -> Iterator[Path]:
    for entry in _entries(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield Path(entry.path)
        else:
            found.foreign.append(Path(entry.path))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not is_litter(entry.name)), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
