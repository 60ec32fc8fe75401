"""What identifies a process: here and on other machines that share a file system, whatever the clock is set to."""

import hashlib
import os
import re
import socket
from functools import cache
from pathlib import Path
from typing import Any

import psutil

BOOT = Path("/proc/sys/kernel/random/boot_id")
STATE, START = 0, 19
"""Fields of `/proc/PID/stat` behind the name: the state, and the start in clock ticks since the machine was started."""


def this_process() -> dict[str, Any]:
    """What tells this process from all others: machine, namespace of process numbers, number, start."""
    return {**_machine(), "process": os.getpid(), "started": started(os.getpid())}


def is_here(owner: dict[str, Any]) -> bool:
    """Whether a process runs, or ran, on this machine since it was started, where its number can be looked up."""
    return all(owner.get(key) == value for key, value in _machine().items())


def is_dead(owner: dict[str, Any]) -> bool:
    """Whether a process is certainly gone: it ran here, and no process of its number and start is there."""
    if not is_here(owner):
        return False
    try:
        number = int(owner["process"])
        if not exists(number):
            return True
        found = started(number)
        # One that ended, and that its parent has not looked after, is there in name only.
        return found is not None and (found != owner["started"] or _is_zombie(number))
    except KeyError:
        return True
    except (psutil.Error, OSError, ValueError, TypeError):
        return False


def exists(process: int) -> bool:
    """Whether a process has this number, be it another user's."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def started(process: int) -> int | float | None:
    """When a process was started, by a clock that nobody sets; None where that cannot be seen.

    psutil adds the time at which the machine was started: that moves whenever the wall clock is set.
    """
    fields = _stat(process)
    if fields is not None:
        return int(fields[START])
    return None if BOOT.exists() else psutil.Process(process).create_time()


def machine_name() -> str:
    """A name for file names, of lower-case letters, digits and dashes: this machine since it was started, and the
    space of its processes."""  # fmt: skip
    identity = _machine()
    name = re.sub(r"[^a-z0-9]+", "-", identity["host"].lower()).strip("-") or "unknown"
    return f"{name}-{hashlib.sha256(repr(identity).encode()).hexdigest()[:12]}"


@cache
def _boot() -> str:
    """Machines, and containers on them, may share a name: no two share this. Empty where the system has none."""
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
