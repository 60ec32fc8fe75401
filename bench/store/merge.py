"""Merging of results folders: nothing that differs is lost, nothing equal is kept twice."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.base.atomic import new_folder
from bench.base.errors import InputError
from bench.store.consistency import require_sound
from bench.store.integrity import RECORD, UnsoundError, sealed
from bench.store.registered import adopt_notes
from bench.store.store import CONFLICTS, Store
from bench.store.stored_run import CODES, PER_QUERY, StoredRun, read_run
from bench.store.swap import hidden_beside, look_through

MEASURED: dict[str, bool | set[str]] = {
    **dict.fromkeys(("started", "durations", "environment", "costs", "relaxed", "checksums", "left_out"), True),
    "dataset": {"place"},
}
"""Fields that may differ between two repetitions of a run."""
COMPARED_BY_CONTENT = {CODES, PER_QUERY}
"""Files that hold the time at which they were written. Equal codes give equal values per query."""


@dataclass(frozen=True)
class Merged:
    """The outcome for one incoming run, with the folder of the other run in a conflict."""

    run: Path
    outcome: str


def merge(sources: Sequence[Path], store: Store) -> Iterator[Merged]:
    """Copy the runs of other results folders into the store's, one by one. The sources are not changed.

    Two runs with the same identity and different contents are in conflict: the one stored here stays, unless only the
    incoming one is finished. The other one goes to `.conflicts/<digest of its record>/`, a results folder of its own.
    An incoming run is not copied if only times, machine or costs differ. Unsound runs are reported and not copied; one
    that is stored here is replaced.

    Raises InputError, before anything is copied, if a source is not a results folder, or is the store's own.
    """
    for source in sources:
        if source.resolve() == store.root.resolve():
            raise InputError(f"{source}: is the folder to merge into; give other sources, or another --results")
        Store(source).require_runs()
    store.require_writable()
    for source in sources:
        adopt_notes(source, store.root)
    return (_merged(folder, store) for source in sources for folder in look_through(source).runs)


def _merged(folder: Path, store: Store) -> Merged:
    try:
        incoming = require_sound(read_run(folder), store.root)
    except InputError as error:
        return Merged(folder, f"not copied: {error.summary if isinstance(error, UnsoundError) else error}")
    here = store.find_sound(incoming.record.spec)
    if here is None:
        _copy(incoming, store)
        return Merged(folder, "copied")
    if _digest(here) == _digest(incoming):
        return Merged(folder, "the same is here")
    if _differ_in_measurements_only(here, incoming):
        return Merged(folder, "same codes with other measurements")
    if incoming.record.status == "done" != here.record.status:
        aside = _conflicts(store, here)
        _copy(here, aside)
        _copy(incoming, store)
        return Merged(folder, f"conflict: copied, as it is finished; the {here.record.status} one is in {aside.root}")
    aside = _conflicts(store, incoming)
    if aside.find(incoming.record.spec) is None:
        _copy(incoming, aside)
    return Merged(folder, f"conflict: differs from the one here, which stays; copied to {aside.root}")


def _differ_in_measurements_only(here: StoredRun, incoming: StoredRun) -> bool:
    first, second = (
        (run.record.model_dump(exclude=MEASURED), run.codes, _other_checksums(run)) for run in (here, incoming)
    )
    return first == second


def _other_checksums(run: StoredRun) -> dict[str, str]:
    files = run.record.checksums | run.record.left_out
    return {name: digest for name, digest in files.items() if name not in COMPARED_BY_CONTENT}


def _copy(run: StoredRun, store: Store) -> None:
    final = store.root / run.record.spec.folder
    final.parent.mkdir(parents=True, exist_ok=True)
    with new_folder(final, hidden_beside(final), store.place) as beside:
        for name in (RECORD, *run.record.checksums):
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(run.folder / name, beside / name)


def _conflicts(store: Store, run: StoredRun) -> Store:
    return Store(store.root / CONFLICTS / _digest(run)[:12], store.say)


def _digest(run: StoredRun) -> str:
    """SHA-256 of the record, which holds the checksums of all other files."""
    return hashlib.sha256(sealed(run.record)).hexdigest()
