"""Merging of results folders: nothing that differs is lost, nothing equal is kept twice."""

import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.base.atomic import new_folder
from bench.base.errors import InputError
from bench.store.consistency import examined
from bench.store.integrity import RECORD, InconsistentError, sealed
from bench.store.registered import adopt_notes
from bench.store.store import CONFLICTS, Store
from bench.store.stored_run import StoredRun, read_run
from bench.store.swap import hidden_beside, look_through
from bench.store.verify import damages

MEASURED = {"started", "durations", "environment", "costs", "checksums"}
"""What two doings of one run need not share in their records."""


@dataclass(frozen=True)
class Merged:
    """What became of one incoming run: in a word, and where both lie if they are in conflict."""

    run: Path
    outcome: str


def merge(sources: Sequence[Path], store: Store) -> Iterator[Merged]:
    """Copy the runs of other results folders into the store's, one after the other.

    Of two runs with the same identity and other contents the one that is stored here stays, unless only the incoming
    one is finished; the other one goes to `.conflicts/<digest of its record>/`, a results folder of its own. Where
    codes, metrics and encoder are equal, and times, machine or costs alone are not, the incoming one is not copied.
    Runs that are not sound are named and not copied; one that is not sound here gives way. The sources are not changed.

    Raises InputError, before anything is copied, for a source that is no results folder or is the store's own.
    """
    for source in sources:
        if source.resolve() == store.root.resolve():
            raise InputError(f"{source}: is the folder to merge into; name others, or another with --results")
        Store(source).require_runs()
    store.require_writable()
    for source in sources:
        adopt_notes(source, store.root)
    return (_merged(folder, store) for source in sources for folder in look_through(source).runs)


def _merged(folder: Path, store: Store) -> Merged:
    try:
        incoming = read_run(folder)
        wrong = _wrong_with(incoming, store.root)
    except InconsistentError as error:
        wrong = f"inconsistent ({error.what})"
    except InputError as error:
        wrong = str(error)
    if wrong is not None:
        return Merged(folder, f"not copied: {wrong}")
    here = store.find_sound(incoming.record.spec)
    if here is None:
        _copy(incoming, store)
        return Merged(folder, "copied")
    same = _digest(here) == _digest(incoming)
    if same or _measured_anew(here, incoming):
        return Merged(folder, "the same is here" if same else "same codes with other measurements")
    if incoming.record.status == "done" != here.record.status:
        aside = _conflicts(store, here)
        _copy(here, aside)
        _copy(incoming, store)
        return Merged(folder, f"conflict: copied, being finished; the {here.record.status} one went to {aside.root}")
    aside = _conflicts(store, incoming)
    if aside.find(incoming.record.spec) is None:
        _copy(incoming, aside)
    return Merged(folder, f"conflict: differs from the one here, which stays; copied to {aside.root}")


def _wrong_with(incoming: StoredRun, root: Path) -> str | None:
    for name, what in damages(incoming):
        return f"damaged ({name} {what})"
    known = examined(incoming, root).record
    return f"inconsistent ({known.reason})" if known.status == "unsound" else None


def _measured_anew(here: StoredRun, incoming: StoredRun) -> bool:
    """Do two doings of one run differ in what they measured alone?"""
    first, second = here.record, incoming.record
    return (
        first.model_dump(exclude=MEASURED) == second.model_dump(exclude=MEASURED)
        and first.checksums.keys() == second.checksums.keys()
        and all(
            digest == second.checksums[name] or _same_arrays(here.folder / name, incoming.folder / name)
            for name, digest in first.checksums.items()
        )
    )


def _same_arrays(first: Path, second: Path) -> bool:
    """Are these `.npz` files that hold the same? Their bytes differ by the time at which they were written."""
    if first.suffix != ".npz":
        return False
    try:
        with zipfile.ZipFile(first) as ours, zipfile.ZipFile(second) as theirs:
            # Sizes first: nothing is unpacked beyond what our own file holds.
            sizes = [{entry.filename: entry.file_size for entry in file.infolist()} for file in (ours, theirs)]
            return sizes[0] == sizes[1] and all(_sha256(ours, name) == _sha256(theirs, name) for name in sizes[0])
    except (OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return False  # damaged, or packed by somebody else


def _sha256(file: zipfile.ZipFile, name: str) -> bytes:
    with file.open(name) as member:
        return hashlib.file_digest(member, "sha256").digest()  # type: ignore[arg-type]


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
    """Of the record, which holds the checksums of all other files."""
    return hashlib.sha256(sealed(run.record)).hexdigest()
