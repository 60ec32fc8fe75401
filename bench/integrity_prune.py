"""What no run needs any more: damaged files that were set aside, leftovers, training states of finished runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.atomic import remove
from bench.integrity_swap import is_leftover, look_through
from bench.leases import Leases, leftovers
from bench.running.queue import LEASES
from bench.running.underway import is_done
from bench.store import DAMAGED, TRAINING, Store


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

    Raises InputError if the folder holds no runs, nor anything to remove.
    """
    found = [Superfluous(path, why, _size(path)) for path, why in sorted(_candidates(store.root))]
    if not found:
        store.require_runs()
    return found


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
    leases = Leases(root / LEASES)
    for path in (root / TRAINING).glob("*/*/*"):
        identity = path.name.partition("-")[2]
        # Any other run may have been begun again, and go on from there.
        if is_done(root / path.relative_to(root / TRAINING)) and leases.holder(identity) is None:
            yield path, "training state of a finished run"


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())
