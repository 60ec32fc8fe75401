"""Verification of a results folder; changes nothing."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.base.errors import InputError
from bench.store.consistency import agreeing, examined
from bench.store.integrity import RECORD, UnsoundError
from bench.store.store import Store
from bench.store.stored_run import StoredRun, checksum_of, forget_checksums, read_run, strays
from bench.store.swap import is_leftover, look_through
from bench.store.twins import twins

State = Literal[
    "damaged", "unreadable", "other version", "inconsistent", "copied codes", "not as computed", "not as encoded",
    "unproven", "equal codes", "foreign", "leftover", "being written",
]  # fmt: skip
FIXES: dict[State, str] = {
    "damaged": "`bench run` repeats the run and keeps this one in .damaged/",
    "inconsistent": "`bench run` repeats the run and keeps this one in .damaged/",
    "not as computed": "`bench evaluate` recomputes metrics from the codes; `bench run` would reuse the run as it is",
    "not as encoded": "`bench run --existing rerun` repeats the run",
    "copied codes": "`bench run --existing rerun` repeats the run",
    "unproven": "give what is missing with --datasets, --data-root or --plugin",
    "unreadable": "give yourself the permission to read it, or check the disk",
    "other version": "use that version of vhbench",
}
HARMLESS: set[State] = {"equal codes", "foreign", "leftover", "being written"}
Proof = Callable[[StoredRun], Iterator[tuple[State, str]]]
"""Recomputes a finished run's numbers, and gives a state and a message for each that differs."""


@dataclass(frozen=True)
class Finding:
    """A path in a results folder that is not a sound run."""

    path: Path
    state: State
    what: str


@dataclass(frozen=True)
class Verified:
    """The numbers of runs and files, and the findings in order of paths."""

    runs: int
    files: int
    findings: list[Finding]

    @property
    def sound(self) -> bool:
        """Whether all runs are undamaged, consistent with themselves and each other, and proven."""
        return all(finding.state in HARMLESS for finding in self.findings)


def verify(store: Store, proof: Proof | None = None) -> Verified:
    """Check all files of all stored runs against their checksums, and the runs for consistency. Changes nothing.

    `proof` is applied to each run that is sound so far. Raises InputError if there are no runs.
    """
    store.require_runs()
    found = look_through(store.root)
    findings = [Finding(path, "foreign", "not a run; left alone") for path in found.foreign]
    for path in found.hidden:
        state: State = "leftover" if is_leftover(path) else "being written"
        findings.append(Finding(path, state, "its process ended" if state == "leftover" else "a process writes it"))
    forget_checksums()
    files, sound = 0, []
    # Hashing and reading release Python's lock, so that two threads are faster; more would only compete for it.
    with ThreadPoolExecutor(2) as pool:
        for number, wrong, run in pool.map(_verify_run, found.runs):
            files += number
            findings += wrong
            if run is not None:
                sound.append(run)
    findings += _among(sound)
    if proof is not None:
        for run in sound:
            if run.record.status == "done":
                findings += [Finding(run.folder, state, what) for state, what in proof(run)]
    return Verified(len(found.runs), files, sorted(findings, key=lambda finding: finding.path))


def _among(runs: Iterable[StoredRun]) -> Iterator[Finding]:
    """Contradictions between runs, and runs with equal codes."""
    sound = []
    for run in agreeing(runs):
        if run.record.status == "unsound":
            yield Finding(run.folder, "inconsistent", str(run.record.reason))
        else:
            sound.append(run)
    for pair in twins(sound):
        state: State = "copied codes" if pair.suspicious else "equal codes"
        yield Finding(pair.second.folder, state, pair.sentence)


def _compared(run: StoredRun) -> Iterator[Finding]:
    for name, expected in run.record.checksums.items():
        path = run.folder / name
        try:
            if not path.is_file():
                yield Finding(path, "damaged", "missing")
            elif checksum_of(path) != expected:
                yield Finding(path, "damaged", "differs from its checksum")
        except OSError as error:
            yield _unreadable(path, error)


def _unreadable(path: Path, error: OSError) -> Finding:
    return Finding(path, "unreadable", f"cannot be read ({error.strerror or error})")


def _verify_run(folder: Path) -> tuple[int, list[Finding], StoredRun | None]:
    """The number of files checked, the findings, and the run if it is sound."""
    try:
        return _examine(folder)
    except OSError as error:  # the folder itself cannot be read
        return 0, [_unreadable(folder, error)], None


def _examine(folder: Path) -> tuple[int, list[Finding], StoredRun | None]:
    if not folder.exists():
        what = "was being replaced when its process ended; the next use restores it"
        return 0, [Finding(folder, "leftover", what)], None
    if not (folder / RECORD).exists():
        return 0, [Finding(folder, "foreign", f"holds no {RECORD}; left alone")], None
    try:
        run = read_run(folder)
    except UnsoundError as error:
        return 1, [Finding(folder / RECORD, error.kind, error.what)], None
    except InputError as error:
        if isinstance(error.__cause__, OSError):
            return 1, [_unreadable(folder / RECORD, error.__cause__)], None
        what = str(error).removeprefix(f"{folder / RECORD}: ")
        return 1, [Finding(folder / RECORD, "other version", what)], None
    findings = list(_compared(run))
    if not findings:
        run = examined(run)
        if run.record.status == "unsound":
            findings.append(Finding(folder, "inconsistent", str(run.record.reason)))
    sound = None if findings else run
    try:
        findings += [Finding(path, "foreign", "not a file of this run; left alone") for path in strays(run)]
    except OSError as error:
        findings.append(_unreadable(folder, error))
    return 1 + len(run.record.checksums), findings, sound
