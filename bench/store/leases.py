"""Leases on runs, shared by all processes and machines that work on one results folder.

A lease is a folder with its owner's name, renamed to its place. The owner keeps it alive by updating its modification
time. Others consider it abandoned if they see no update for a while by their own clocks (clocks of machines are never
compared), or at once if its owner ran on this machine and is dead. The inode identifies a lease: an owner that was
suspended too long notices that it lost the lease, and can neither renew nor release another's.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from bench.base.atomic import hidden, new_folder, remove
from bench.base.processes import is_dead, this_process

LEASES = ".leases"
"""The folder of leases in a results folder."""
MEASURING = "measuring"
"""The lease of the process that measures costs; meanwhile no run starts on its machine."""
POLL_SECONDS = 1.0
# Network file systems may show old times for a minute.
SECONDS = 180.0
BEATS = 10
OWNER = "owner.json"


@dataclass(frozen=True)
class Claim:
    """A lease as seen by a process that works under it, which may be another than its owner."""

    path: str
    inode: int

    @property
    def held(self) -> bool:
        """Whether the owner still has the lease; False once another process took it over."""
        try:
            return os.stat(self.path).st_ino == self.inode  # noqa: PTH116  beside fstat
        except OSError:
            return False


class Lease:
    """An exclusive right to do a run. As a context manager it is kept alive, and released at the end."""

    def __init__(self, path: Path, folder: Path, interval: float) -> None:
        """A lease whose `folder` is about to be renamed to `path`."""
        self._path, self._interval = path, interval
        # While it is open, no other folder can get the same inode.
        self._descriptor = os.open(folder, os.O_RDONLY)
        self.claim = Claim(str(path), os.fstat(self._descriptor).st_ino)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, name="lease", daemon=True)

    def __enter__(self) -> Self:
        # If no thread can be started, others may take the lease over, but without others nothing is lost.
        with suppress(RuntimeError):
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self.release()

    @property
    def held(self) -> bool:
        """Whether this process still has the lease; False once another process took it over."""
        return self.claim.held

    def renew(self) -> None:
        """Show others that the owner is alive."""
        os.utime(self._descriptor)

    def release(self) -> None:
        """Release the lease. If that fails, it expires."""
        with suppress(OSError):
            # Deletes the file in our own folder, wherever that is now; another's is not empty and cannot be removed.
            os.unlink(OWNER, dir_fd=self._descriptor)
            self._path.rmdir()
        os.close(self._descriptor)

    def _keep_alive(self) -> None:
        while not self._ended.wait(self._interval):
            # A full disk or a short failure of the file system must not end the run; at worst others take it over.
            with suppress(OSError):
                self.renew()


@dataclass
class Leases:
    """The leases of one results folder, in `folder`."""

    folder: Path
    seconds: float = SECONDS
    """The time without an update after which a lease counts as abandoned."""
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[tuple[int, int], float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Absolute, since methods may change the working directory.
        self.folder = self.folder.absolute()

    def take(self, name: str) -> Lease | None:
        """The lease of this name; None while another process holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        lease = self._create(path)
        if lease is None and self._abandoned(path) and _set_aside(path, self._seen[name][0]):
            lease = self._create(path)
        return lease

    def holder(self, name: str) -> dict[str, Any] | None:
        """The process that holds this lease, as it describes itself; None if the lease is free or abandoned."""
        owner = _owner(self.folder / name)
        return owner if owner and not self._abandoned(self.folder / name) else None

    def names(self) -> list[str]:
        """The names of all leases, abandoned ones included."""
        return sorted(path.name for path in self.folder.glob("[!.]*"))

    def _create(self, path: Path) -> Lease | None:
        if _owner(path):
            return None
        lease = None
        try:
            # Of several renames, on all machines, only one succeeds: a folder that is not empty cannot be replaced.
            with new_folder(path) as folder:
                (folder / OWNER).write_text(json.dumps(this_process()), encoding="utf-8")
                lease = Lease(path, folder, self.seconds / BEATS)
        except FileNotFoundError:
            pass  # removed by `bench results prune`; the next attempt decides
        except OSError:
            if not path.exists():
                raise
        # Network file systems may report failure of a rename that succeeded.
        if lease is not None and not lease.held:
            lease.release()
            return None
        return lease

    def _abandoned(self, path: Path) -> bool:
        try:
            life = _life(path)
        except FileNotFoundError:
            return False  # just released; the next attempt decides
        known, since = self._seen.get(path.name, (None, 0.0))
        if known != life:
            since = self.clock()
            self._seen[path.name] = (life, since)
        return self.clock() - since >= self.seconds or is_dead(_owner(path))


def leftovers(folder: Path) -> list[Path]:
    """Unfinished leases whose owner is unknown or has ended."""
    return [path for path in sorted(folder.glob(".*")) if not (owner := _owner(path)) or is_dead(owner)]


def pause() -> None:
    """Wait a moment for other processes."""
    time.sleep(POLL_SECONDS)


@contextmanager
def exclusive(
    leases: Leases, name: str, wait: Callable[[], None] = pause, say: Callable[[str], None] = lambda line: None
) -> Iterator[None]:
    """Wait for the lease of this name, and hold it while open."""
    waiting = False
    while (lease := leases.take(name)) is None:
        if not waiting:
            say(f"waiting for another process that is {name}")
        waiting = True
        wait()
    with lease:
        yield


def _life(path: Path) -> tuple[int, int]:
    """A value that changes with each update of the lease."""
    state = path.stat()
    return state.st_ino, state.st_mtime_ns


def _owner(path: Path) -> dict[str, Any]:
    """The owner of a lease; empty if it cannot be read."""
    try:
        owner = json.loads((path / OWNER).read_bytes())
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _set_aside(path: Path, life: tuple[int, int]) -> bool:
    """Remove an abandoned lease, unless it changed since it was judged."""
    aside = hidden(path)
    try:
        path.rename(aside)
        judged = _life(aside) == life
    except FileNotFoundError:
        return False
    if not judged:
        # Another process was faster and this is its new lease, or the owner woke up: move it back.
        with suppress(OSError):
            aside.rename(path)
    remove(aside)
    return judged
