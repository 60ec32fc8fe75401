"""What no run needs any more: damaged files that were set aside, leftovers, training states of finished runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.errors import InputError
from bench.integrity import RECORD
from bench.integrity_swap import is_leftover, look_through, remove
from bench.leases import leftovers
from bench.running.queue import LEASES
from bench.store import DAMAGED, TRAINING, Store, read_run


@dataclass(frozen=True)
class Superfluous:
    """A file or folder that no run needs, why, and its size in bytes."""

    path: Path
    why: str
    size: int

    def remove(self) -> None:
        remove(self.path)


def superfluous(store: Store) -> list[Superfluous]:
    """All there is to remove, in order of paths. Runs in conflict are results and not among it.

    Raises InputError if there is no such folder.
    """
    if not store.root.is_dir():
        raise InputError(f"{store.root}: no such folder; name another with --results")
    return [Superfluous(path, why, _size(path)) for path, why in sorted(_candidates(store.root))]


def _candidates(root: Path) -> Iterator[tuple[Path, str]]:
    for path in (root / DAMAGED).glob("*/*/*"):
        yield path, "damaged, set aside"
    found = look_through(root)
    absent = {folder.name for folder in found.runs if not folder.exists()}
    for path in found.hidden:
        if is_leftover(path) and path.name.split(".")[1] not in absent:
            yield path, "leftover of a process that ended"
    for path in leftovers(root / LEASES):
        yield path, "leftover of a process that ended"
    for path in (root / TRAINING).glob("*/*/*"):
        run = root / path.relative_to(root / TRAINING)
        if (run / RECORD).is_file() and not _goes_on(run):
            yield path, "training state of a stored run"


def _goes_on(run: Path) -> bool:
    """Would the run go on from its training's state, if it were tried again with more time?"""
    try:
        return read_run(run).record.status == "timeout"
    except InputError:
        return False


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())
