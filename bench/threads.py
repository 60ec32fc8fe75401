"""The processor cores of this process, and threads that work beside this one."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any


def usable_cores() -> int:
    """How many processor cores this process may use."""
    # Systems other than Linux do not say which: all, there.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Here(Executor):
    """Does everything at once, in the thread that asks for it."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """The finished work."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


def threads(number: int, name: str = "") -> Executor:
    """So many threads, all started; under a limit on processes that forbids them the work is done here instead.

    A limit is met when hours of training may have gone before: it must not cost them.
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
