"""Processes and threads: identity of a process on all machines of a file system, cores, pools, thread counts."""

import hashlib
import os
import re
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import psutil

BOOT = Path("/proc/sys/kernel/random/boot_id")
STATE, START = 0, 19
"""Fields of `/proc/PID/stat` after the name: the state, and the start in clock ticks since boot."""
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def this_process() -> dict[str, Any]:
    """The identity of this process: machine, namespace of process numbers, number, start."""
    return {**_machine(), "process": os.getpid(), "started": started(os.getpid())}


def is_here(owner: dict[str, Any]) -> bool:
    """Whether a process ran on this machine since it booted, so that its number can be looked up."""
    return all(owner.get(key) == value for key, value in _machine().items())


def is_dead(owner: dict[str, Any]) -> bool:
    """Whether a process is certainly gone: it ran here, and no process with its number and start exists."""
    if not is_here(owner):
        return False
    try:
        number = int(owner["process"])
        if not exists(number):
            return True
        found = started(number)
        # A zombie has ended; its parent has not waited for it yet.
        return found is not None and (found != owner["started"] or _is_zombie(number))
    except KeyError:
        return True
    except (psutil.Error, OSError, ValueError, TypeError):
        return False


def exists(process: int) -> bool:
    """Whether a process with this number exists, of any user."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def started(process: int) -> int | float | None:
    """The start of a process, by a clock that is never set; None where it is not visible.

    psutil adds the boot time, which changes whenever the wall clock is set.
    """
    fields = _stat(process)
    if fields is not None:
        return int(fields[START])
    return None if BOOT.exists() else psutil.Process(process).create_time()


def machine_name() -> str:
    """This machine since its boot, and its namespace of process numbers, as a part of file names: [a-z0-9-]."""
    identity = _machine()
    name = re.sub(r"[^a-z0-9]+", "-", identity["host"].lower()).strip("-") or "unknown"
    return f"{name}-{hashlib.sha256(repr(identity).encode()).hexdigest()[:12]}"


@cache
def _boot() -> str:
    """The boot id, which no two machines share even where their names do; empty where the system has none."""
    try:
        return BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _machine() -> dict[str, str]:
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115  a link to no file
    except OSError:
        namespace = ""
    return {"host": socket.gethostname(), "boot": _boot(), "namespace": namespace}


def _is_zombie(process: int) -> bool:
    fields = _stat(process)
    return fields[STATE] == b"Z" if fields else psutil.Process(process).status() == psutil.STATUS_ZOMBIE


def _stat(process: int) -> list[bytes] | None:
    try:
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None


def usable_cores() -> int:
    """The number of processor cores that this process may use."""
    # Only Linux says which; elsewhere all count.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Here(Executor):
    """An executor that runs every call at once, in the calling thread."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """A finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


def threads(number: int, name: str = "") -> Executor:
    """A pool of started threads; where a limit on processes forbids them, the calling thread does the work.

    Such a limit may be met after hours of training, which must not be lost.
    """
    pool, begun = ThreadPoolExecutor(number, name), threading.Event()
    try:
        for _ in range(number):
            pool.submit(begun.wait)
    except RuntimeError:
        begun.set()
        pool.shutdown()
        return Here()
    begun.set()
    return pool


def use_threads(number: int) -> None:
    """Have all libraries use so many threads in this process; call it before numpy and torch are loaded."""
    os.environ.update({name: str(number) for name in VARIABLES})
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(number)
