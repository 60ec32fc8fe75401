"""A node's own folder for what runs need there: features that several runs share, and a folder for every run."""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.context import Stopped
from bench.errors import InputError
from bench.paths import named_path

VARIABLE = "VHBENCH_SCRATCH"
MEND = f"free some room, or name another folder of the node in {VARIABLE} (docs/clusters.md)"
POLL_SECONDS = 0.2


def scratch() -> Path:
    """`vhbench-<user>` in `$VHBENCH_SCRATCH`, else in the folder for temporary files; for this user alone.

    Raises InputError if it cannot be made, or is open to others.
    """
    folder = named_path(os.environ.get(VARIABLE) or tempfile.gettempdir()) / f"vhbench-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.lstat()
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); {MEND}") from error
    # In a folder that all may write to, somebody else may have been there first.
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise InputError(f"{folder}: is not a folder for this user alone (mode 0700); remove it, or name another "
                         f"folder in {VARIABLE}")  # fmt: skip
    return folder


@contextmanager
def locked(path: Path, stop: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Open while no other process of this machine has `path` locked. Raises Stopped if `stop` comes true before."""
    while (descriptor := _lock(path)) is None:
        if stop():
            raise Stopped("stopped while waiting for another run of this node")
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def run_folder() -> Iterator[Path]:
    """A folder for one run, gone at the end; those whose processes were killed are removed here too."""
    root = scratch()
    with locked(root / "runs.lock"):
        for leftover in root.glob("run-*"):
            if (descriptor := _lock(leftover / "lock")) is not None:
                shutil.rmtree(leftover, ignore_errors=True)
                os.close(descriptor)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=root))
        held = _lock(folder / "lock")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            os.close(held)


def _lock(path: Path) -> int | None:
    """A descriptor that locks the file until it is closed, or its process is dead; None if another one has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
