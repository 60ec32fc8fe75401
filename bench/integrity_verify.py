"""Is everything in a results folder as it was written? Looks only; what uses the runs sets damaged ones aside."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.errors import InputError
from bench.integrity import RECORD, DamagedError, sha256
from bench.integrity_swap import is_leftover, look_through
from bench.store import Store, StoredRun, read_run, strays

State = Literal["damaged", "unreadable", "other version", "foreign", "leftover", "being written"]


@dataclass(frozen=True)
class Finding:
    """Something in a results folder that is not a sound run."""

    path: Path
    state: State
    what: str


@dataclass(frozen=True)
class Verified:
    """What was found: how many runs with how many files, and what is wrong, in order of paths."""

    runs: int
    files: int
    findings: list[Finding]

    @property
    def damaged(self) -> bool:
        """Whether a run is not as it was written, or cannot be read to tell."""
        return any(finding.state in {"damaged", "unreadable", "other version"} for finding in self.findings)


def verify(store: Store) -> Verified:
    """Compare all files of all stored runs with their checksums. Changes nothing.

    Raises InputError if there is no such folder.
    """
    if not store.root.is_dir():
        raise InputError(f"{store.root}: no such folder; name another with --results")
    found = look_through(store.root)
    findings = [Finding(path, "foreign", "not a run; left alone") for path in found.foreign]
    for path in found.hidden:
        state: State = "leftover" if is_leftover(path) else "being written"
        findings.append(Finding(path, state, "its process ended" if state == "leftover" else "a process writes here"))
    files = 0
    # Checksums are computed without Python's lock, so that threads share the work.
    with ThreadPoolExecutor() as pool:
        for number, wrong in pool.map(_verify_run, found.runs):
            files += number
            findings += wrong
    return Verified(len(found.runs), files, sorted(findings, key=lambda finding: finding.path))


def damages(run: StoredRun) -> Iterator[tuple[str, str]]:
    """Files of a run that are not as its record says: name and what is wrong."""
    for finding in _compared(run):
        yield finding.path.relative_to(run.folder).as_posix(), finding.what


def _compared(run: StoredRun) -> Iterator[Finding]:
    for name, expected in run.record.checksums.items():
        path = run.folder / name
        try:
            if not path.is_file():
                yield Finding(path, "damaged", "missing")
            elif sha256(path) != expected:
                yield Finding(path, "damaged", "differs from its checksum")
        except OSError as error:
            yield _unreadable(path, error)


def _unreadable(path: Path, error: OSError) -> Finding:
    return Finding(path, "unreadable", f"cannot be read ({error.strerror or error})")


def _verify_run(folder: Path) -> tuple[int, list[Finding]]:
    """The number of files looked at, and what is wrong."""
    try:
        return _look_at(folder)
    except OSError as error:  # the folder itself cannot be looked into
        return 0, [_unreadable(folder, error)]


def _look_at(folder: Path) -> tuple[int, list[Finding]]:
    if not folder.exists():
        return 0, [Finding(folder, "leftover", "was being replaced when its process ended; the next use puts it back")]
    if not (folder / RECORD).exists():
        return 0, [Finding(folder, "foreign", f"holds no {RECORD}; left alone")]
    try:
        run = read_run(folder)
    except DamagedError as damage:
        return 1, [Finding(folder / RECORD, "damaged", damage.what)]
    except InputError as error:
        if isinstance(error.__cause__, OSError):
            return 1, [_unreadable(folder / RECORD, error.__cause__)]
        return 1, [Finding(folder / RECORD, "other version", str(error).removeprefix(f"{folder / RECORD}: "))]
    findings = list(_compared(run))
    try:
        findings += [Finding(path, "foreign", "not a file of this run; left alone") for path in strays(run)]
    except OSError as error:
        findings.append(_unreadable(folder, error))
    return 1 + len(run.record.checksums), findings
