"""A pool of open files, shared by threads and reopened after a fork."""

import errno
import itertools
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from bench.base.errors import InputError
from bench.base.files import unreadable

# Datasets can have thousands of part files; a process may have 256 files open on macOS, 1,024 on most Linux systems.
MOST_OPEN = 64

T = TypeVar("T")


@dataclass(frozen=True)
class Version:
    """The state of a file at the first look. A file that replaces it later is refused, not read."""

    path: Path
    """As the user named it."""
    place: Path
    """Absolute: the working directory may change."""
    size: int
    modified: int
    """Time of the last change of contents, in nanoseconds; tools can set it back."""
    changed: int
    """Time of the last change of contents, rights, names or links, in nanoseconds; no tool sets it back."""

    @classmethod
    def of(cls, path: Path) -> Self:
        """The file at `path` as it is now. Raises InputError if it is not accessible."""
        try:
            state = path.stat()
        except OSError as error:
            raise unreadable(path, error) from error
        return cls(path, path.absolute(), state.st_size, state.st_mtime_ns, state.st_ctime_ns)

    def open(self) -> int:
        """A descriptor of the file. Raises OSError, and InputError if it is no longer this version."""
        descriptor = os.open(self.place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.require_same(os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def require_same(self, state: os.stat_result) -> None:
        """InputError if a file that was opened by name is another one, or was modified in any way."""
        self.require_unchanged(state)
        if state.st_ctime_ns != self.changed:
            raise self.replaced()

    def require_unchanged(self, state: os.stat_result) -> None:
        """InputError if an open file has other contents; that it was renamed, linked or deleted does not matter."""
        if (state.st_size, state.st_mtime_ns) != (self.size, self.modified):
            raise self.replaced()

    def replaced(self) -> InputError:
        """The error to raise where this version is gone."""
        return InputError(f"{self.path}: was changed or replaced after it was opened; load it again")


class Kept(Generic[T]):
    """A resource that is opened at first use, closed when others need its place, and reopened when needed.

    `opener` may raise OSError and InputError. Copies, including pickled ones, open their own.
    """

    def __init__(self, opener: Callable[[], T], closer: Callable[[T], None]) -> None:
        self._opener, self._closer, self._number = opener, closer, next(_numbers)
        weakref.finalize(self, _open.forget, self._number).atexit = False

    @contextmanager
    def use(self) -> Iterator[T]:
        """The open resource, which stays open until the block ends. Raises what opening raises."""
        entry = _open.take(self._number, self._opener, self._closer)
        try:
            yield entry.opened
        finally:
            _open.give_back(entry)

    def __reduce__(self) -> tuple[Any, ...]:
        return Kept, (self._opener, self._closer)


@dataclass(eq=False)
class _Entry:
    opened: Any
    closer: Callable[[Any], None]
    users: int = 0
    forgotten: bool = False

    def close_unused(self) -> bool:
        if self.users:
            return False
        self.closer(self.opened)
        return True


class _Open:
    """All open resources by number, the least recently used first."""

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}
        self._lock = threading.Lock()
        self._forgotten: deque[int] = deque()
        self._inherited: list[dict[int, _Entry]] = []

    def take(self, number: int, opener: Callable[[], Any], closer: Callable[[Any], None]) -> _Entry:
        with self._lock:
            self._close_forgotten()
            entry = self._entries.pop(number, None)
            if entry is None:
                self._close_down_to(MOST_OPEN - 1)
                entry = _Entry(self._opened(opener), closer)
            self._entries[number] = entry
            entry.users += 1
            return entry

    def give_back(self, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            if entry.forgotten:
                entry.close_unused()

    def forget(self, number: int) -> None:
        """Close a resource that is no longer referenced. The garbage collector calls this, possibly within `take`."""
        self._forgotten.append(number)
        if self._lock.acquire(blocking=False):
            try:
                self._close_forgotten()
            finally:
                self._lock.release()

    def begin_anew(self) -> None:
        """Leave inherited resources to the parent after a fork, whose threads may hold the lock."""
        # Kept: closing could wait for library locks that nobody releases here.
        self._inherited.append(self._entries)
        self._entries, self._lock = {}, threading.Lock()

    def _opened(self, opener: Callable[[], Any]) -> Any:
        try:
            return opener()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._close_down_to(0)
            return opener()

    def _close_down_to(self, most: int) -> None:
        for number, entry in list(self._entries.items())[: max(0, len(self._entries) - most)]:
            if entry.close_unused():
                del self._entries[number]

    def _close_forgotten(self) -> None:
        while self._forgotten:
            entry = self._entries.pop(self._forgotten.popleft(), None)
            if entry is not None:
                entry.forgotten = True
                entry.close_unused()


_numbers = itertools.count()

_open = _Open()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open.begin_anew)
