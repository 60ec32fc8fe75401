"""Leases on runs, shared by all processes and machines that work on one results folder.

A lease is a folder that is renamed to its place when it says whose it is, and that its owner keeps alive by changing
its time of modification. Others take it for abandoned when they saw no change for a while by their own clock (machines'
clocks are never compared), or at once where its owner ran here and is dead. It is known by its inode: an owner that
slept through the loss of its lease notices, and can neither renew nor release another's.
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

POLL_SECONDS = 1.0

# Network file systems may show old times for a minute.
SECONDS = 180.0

BEATS = 10

OWNER = "owner.json"


@dataclass(frozen=True)
class Claim:
    """What a lease looks like to whoever works under it, be it another process than its owner."""

    path: str
    inode: int

    @property
    def held(self) -> bool:
        """Whether the lease is still the owner's; False once others have taken it for abandoned."""
        try:
            return os.stat(self.path).st_ino == self.inode  # noqa: PTH116  beside fstat
        except OSError:
            return False


class Lease:
    """The right to work on something, kept alive while open as a context, which releases it at its end."""

    def __init__(self, path: Path, folder: Path, interval: float) -> None:
        """The lease whose `folder` is about to be renamed to `path`."""
        self._path, self._interval = path, interval
        # Held open, so that no other folder gets the same inode.
        self._descriptor = os.open(folder, os.O_RDONLY)
        self.claim = Claim(str(path), os.fstat(self._descriptor).st_ino)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, name="lease", daemon=True)

    def __enter__(self) -> Self:
        # Where the system starts no more threads, others may take it for abandoned; without others nothing is lost.
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
        """Whether it is still ours; False once others have taken it for abandoned."""
        return self.claim.held

    def renew(self) -> None:
        """Show others that the owner lives."""
        os.utime(self._descriptor)

    def release(self) -> None:
        """Let others have it. If that fails it runs out."""
        with suppress(OSError):
            # In our own folder, wherever it is now; another's is not empty and stays.
            os.unlink(OWNER, dir_fd=self._descriptor)
            self._path.rmdir()
        os.close(self._descriptor)

    def _keep_alive(self) -> None:
        while not self._ended.wait(self._interval):
            # A full disk or a file system that is away for a moment must not end the work; others may then take over.
            with suppress(OSError):
                self.renew()


@dataclass
class Leases:
    """The leases of one results folder, in `folder`."""

    folder: Path
    seconds: float = SECONDS
    """How long a lease may go without a sign of life before others take it for abandoned."""
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[tuple[int, int], float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Absolute, since methods may change the working directory.
        self.folder = self.folder.absolute()

    def take(self, name: str) -> Lease | None:
        """The lease of this name, None while another process holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        lease = self._create(path)
        if lease is None and self._abandoned(path) and _set_aside(path, self._seen[name][0]):
            lease = self._create(path)
        return lease

    def holder(self, name: str) -> dict[str, Any] | None:
        """The process that holds this lease, by its own word; None if nobody does, or it was abandoned."""
        owner = _owner(self.folder / name)
        return owner if owner and not self._abandoned(self.folder / name) else None

    def names(self) -> list[str]:
        """The names of all leases that are held, or were when their owners died."""
        return sorted(path.name for path in self.folder.glob("[!.]*"))

    def _create(self, path: Path) -> Lease | None:
        if _owner(path):
            return None
        lease = None
        try:
            # Of all who rename, on all machines, one succeeds: then the place is taken by a folder that is not empty.
            with new_folder(path) as folder:
                (folder / OWNER).write_text(json.dumps(this_process()), encoding="utf-8")
                lease = Lease(path, folder, self.seconds / BEATS)
        except FileNotFoundError:
            pass  # `bench prune` was quicker: the next try will tell
        except OSError:
            if not path.exists():
                raise
        # Network file systems may say that it failed when it was only their answer that was lost.
        if lease is not None and not lease.held:
            lease.release()
            return None
        return lease

    def _abandoned(self, path: Path) -> bool:
        try:
            life = _life(path)
        except FileNotFoundError:
            return False  # released this moment: the next try will tell
        known, since = self._seen.get(path.name, (None, 0.0))
        if known != life:
            since = self.clock()
            self._seen[path.name] = (life, since)
        return self.clock() - since >= self.seconds or is_dead(_owner(path))


def _life(path: Path) -> tuple[int, int]:
    """What changes with each sign of life."""
    state = path.stat()
    return state.st_ino, state.st_mtime_ns


def _owner(path: Path) -> dict[str, Any]:
    """Whose lease this is; empty if that cannot be read."""
    try:
        owner = json.loads((path / OWNER).read_bytes())
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _set_aside(path: Path, life: tuple[int, int]) -> bool:
    """Take an abandoned lease away, unless it is no longer the one that was judged."""
    aside = hidden(path)
    try:
        path.rename(aside)
        judged = _life(aside) == life
    except FileNotFoundError:
        return False
    if not judged:
        # Somebody was quicker and this is their new lease, or the owner woke up: it goes back.
        with suppress(OSError):
            aside.rename(path)
    remove(aside)
    return judged


def leftovers(folder: Path) -> list[Path]:
    """What is in a folder of leases and is none, nor about to be one by a living process of this machine."""
    return [path for path in sorted(folder.glob(".*")) if not (owner := _owner(path)) or is_dead(owner)]


def pause() -> None:
    """Give other processes time."""
    time.sleep(POLL_SECONDS)


@contextmanager
def exclusive(
    leases: Leases, name: str, wait: Callable[[], None] = pause, say: Callable[[str], None] = lambda line: None
) -> Iterator[None]:
    """Open as soon as no other process has the lease of this name."""
    told = False
    while (lease := leases.take(name)) is None:
        if not told:
            say(f"waiting for another process that is {name}")
        told = True
        wait()
    with lease:
        yield


LEASES = ".leases"

MEASURING = "measuring"
"""The lease of whoever measures, beside which no run starts on the same machine."""
