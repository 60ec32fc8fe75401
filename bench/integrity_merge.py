"""Results folders of several machines made one: nothing that differs is lost, nothing that is equal is kept twice."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import InputError
from bench.integrity import RECORD, sync_tree
from bench.integrity_swap import hidden_beside, look_through, remove
from bench.integrity_verify import damages
from bench.store import CONFLICTS, Store, StoredRun, read_run


@dataclass(frozen=True)
class Merged:
    """What became of one incoming run: in a word, and where both lie if they are in conflict."""

    run: Path
    outcome: str


def merge(sources: Sequence[Path], store: Store) -> Iterator[Merged]:
    """Copy the runs of other results folders into the store's, one after the other.

    Of two runs with the same identity and other contents the one that is stored here stays, unless only the incoming
    one is finished; the other one goes to `.conflicts/<digest of its record>/`, a results folder of its own. Damaged
    runs are named and not copied. The sources are not changed.

    Raises InputError, before anything is copied, for a source that is no results folder or is the store's own.
    """
    for source in sources:
        if not source.is_dir():
            raise InputError(f"{source}: no such folder; name results folders to merge")
        if source.resolve() == store.root.resolve():
            raise InputError(f"{source}: is the folder to merge into; name others, or another with --results")
        if not look_through(source).runs:
            raise InputError(f"{source}: holds no runs; name a results folder, which holds <dataset>/<method>/<run>")
    store.require_writable()
    return (_merged(folder, store) for source in sources for folder in look_through(source).runs)


def _merged(folder: Path, store: Store) -> Merged:
    try:
        incoming = read_run(folder)
    except InputError as error:
        return Merged(folder, f"not copied: {error}")
    wrong = next(damages(incoming), None)
    if wrong is not None:
        return Merged(folder, f"not copied: damaged ({wrong[0]} {wrong[1]})")
    here = store.find(incoming.record.spec)
    if here is None:
        _copy(incoming, store)
        return Merged(folder, "copied")
    if _digest(here) == _digest(incoming):
        return Merged(folder, "the same is here")
    if incoming.record.status == "done" != here.record.status:
        aside = _conflicts(store, here)
        _copy(here, aside)
        _copy(incoming, store)
        return Merged(folder, f"conflict: copied, being finished; the {here.record.status} one went to {aside.root}")
    aside = _conflicts(store, incoming)
    if aside.find(incoming.record.spec) is None:
        _copy(incoming, aside)
    return Merged(folder, f"conflict: differs from the one here, which stays; copied to {aside.root}")


def _copy(run: StoredRun, store: Store) -> None:
    final = store.root / run.record.spec.folder
    final.parent.mkdir(parents=True, exist_ok=True)
    beside = hidden_beside(final)
    try:
        for name in (RECORD, *run.record.checksums):
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(run.folder / name, beside / name)
        sync_tree(beside)
        store.place(beside, final)
    finally:
        remove(beside)


def _conflicts(store: Store, run: StoredRun) -> Store:
    return Store(store.root / CONFLICTS / _digest(run)[:12], store.say)


def _digest(run: StoredRun) -> str:
    """Of the record, which holds the checksums of all other files."""
    return hashlib.sha256((run.folder / RECORD).read_bytes()).hexdigest()
