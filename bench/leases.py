"""Leases: who works on what in a results folder that several processes, on several machines, share.

A lease is a file that its owner keeps alive by changing its time of modification. Others take it for abandoned when
they saw no change for a while by their own clock (machines' clocks are never compared), or at once where its owner ran
here and is dead. A lease is bound to its file's inode: an owner that slept through the loss of its lease notices, and
can neither renew nor release another's.
"""

import errno
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.processes import is_dead, this_process

POLL_SECONDS = 1.0
# Network file systems may show a file's old times for a minute.
SECONDS = 180.0
BEATS = 10
WITHOUT_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
"""What file systems answer that have no hard links."""


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
    """The right to work on something, for as long as it is renewed; a context that releases it at its end."""

    def __init__(self, path: Path, descriptor: int, interval: float) -> None:
        self._path, self._descriptor, self._interval = path, descriptor, interval
        self.claim = Claim(str(path), os.fstat(descriptor).st_ino)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, name="lease", daemon=True)

    def __enter__(self) -> "Lease":
        # Where the system starts no more threads, others may take it for abandoned; without others nothing is lost.
        with suppress(RuntimeError):
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        """Let others have it."""
        if self.held:
            self._path.unlink(missing_ok=True)
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
        path = self.folder / name
        try:
            owner = json.loads(path.read_bytes())
            abandoned = self._abandoned(path)
        except (OSError, ValueError):
            return None
        return owner if isinstance(owner, dict) and not abandoned else None

    def names(self) -> list[str]:
        """The names of all leases that are held, or were when their owners died."""
        return sorted(path.name for path in self.folder.glob("[!.]*"))

    def _create(self, path: Path) -> Lease | None:
        if path.exists():
            return None
        # Signed before it can be seen: whenever its owner is killed, others know whose it was.
        beside = _beside(path)
        descriptor = _new_file(beside)
        try:
            os.write(descriptor, json.dumps(this_process()).encode())
            with suppress(FileExistsError, FileNotFoundError):
                # Of all who try, on all machines, one succeeds.
                os.link(beside, path)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in WITHOUT_LINKS:
                raise
            return self._create_in_place(path)
        finally:
            with suppress(OSError):  # it would do no harm
                beside.unlink()
        lease = Lease(path, descriptor, self.seconds / BEATS)
        # Network file systems may say that it failed when it was only their answer that was lost.
        if lease.held:
            return lease
        os.close(descriptor)
        return None

    def _create_in_place(self, path: Path) -> Lease | None:
        """As `_create`, without hard links: who is killed between the two steps leaves a lease that must run out."""
        try:
            descriptor = _new_file(path)
        except FileExistsError:
            return None
        lease = Lease(path, descriptor, self.seconds / BEATS)
        try:
            os.write(descriptor, json.dumps(this_process()).encode())
        except BaseException:
            lease.release()
            raise
        return lease

    def _abandoned(self, path: Path) -> bool:
        try:
            state = path.stat()
            owner = json.loads(path.read_bytes())
        except FileNotFoundError:
            # Released this moment: the next try will tell.
            return False
        except ValueError:
            # Not signed yet, on a file system without links.
            owner = {}
        if not isinstance(owner, dict):
            owner = {}
        life = (state.st_ino, state.st_mtime_ns)
        known, since = self._seen.get(path.name, (None, 0.0))
        if known != life:
            since = self.clock()
            self._seen[path.name] = (life, since)
        return self.clock() - since >= self.seconds or is_dead(owner)


def _set_aside(path: Path, life: tuple[int, int]) -> bool:
    """Take an abandoned lease's file away, unless it is no longer the one that was judged."""
    aside = _beside(path)
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    state = aside.stat()
    if (state.st_ino, state.st_mtime_ns) != life:
        # Somebody was quicker and this is their new lease, or the owner woke up: it goes back.
        with suppress(OSError):
            os.link(aside, path)
        aside.unlink()
        return False
    aside.unlink()
    return True


def leftovers(folder: Path) -> list[Path]:
    """Files of a folder of leases that are no leases, and that no living process of this machine is about to use."""
    return [path for path in sorted(folder.glob(".*")) if not _is_in_use(path)]


def _is_in_use(path: Path) -> bool:
    try:
        owner = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(owner, dict) and not is_dead(owner)


def _beside(path: Path) -> Path:
    """A name for a file that is there for a moment."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")


def _new_file(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)


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
