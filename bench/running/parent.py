"""The death of the parent process, told by the kernel: nothing in the child has to run for it."""

import fcntl
import multiprocessing
import os
import signal
import sys
from multiprocessing import connection


def end_with_parent() -> None:
    """Have Linux kill this process's group, which it leads, when the process that asked for it is gone.

    Where a method holds the interpreter's lock, no thread could notice. Every child of a fork server has the end of a
    pipe whose other end only that process has (`multiprocessing.parent_process().sentinel`): when it closes, however
    that process died, the kernel sends the signal. `PR_SET_PDEATHSIG` would wait for the death of the fork server,
    which lives on as long as the child does. Other systems are left with the thread.
    """
    parent = multiprocessing.parent_process()
    if sys.platform != "linux" or parent is None:
        return
    sentinel = parent.sentinel
    fcntl.fcntl(sentinel, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(sentinel, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)
    # It may have died before the kernel was asked.
    if connection.wait([sentinel], 0):
        os.killpg(0, signal.SIGKILL)
