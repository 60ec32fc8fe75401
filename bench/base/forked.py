"""Work spread over processes forked from this one, which have all that it holds."""

import gc
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from bench.base.processes import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

_inherited: tuple[Callable[[Any], Any], Sequence[Any]] | None = None


def forked_map(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`function(item)` for every item, in order, with as many processes at a time as there are cores.

    The function and the items need not be picklable, the results must be. The function must not use threads of this
    process, nor change anything that is read later. An error that it raises is raised here.
    """
    processes = min(len(items), usable_cores()) if sys.platform == "linux" else 1
    if processes > 1:
        others = set(multiprocessing.active_children())
        try:
            fork = multiprocessing.get_context("fork")
            with ProcessPoolExecutor(processes, fork, _begin, (function, items)) as pool:
                return list(pool.map(_call, range(len(items))))
        except Exception:
            # No semaphores (/dev/shm), no more processes, or one was killed. The function's own error is raised below.
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
                process.join()
    return [function(item) for item in items]


def _begin(function: Callable[[Any], Any], items: Sequence[Any]) -> None:
    """Set up a process; Ctrl-C ends it through its parent."""
    global _inherited  # noqa: PLW0603  sending the items would take longer than much of the work
    _inherited = function, items
    # It lives for some seconds: looking through all that it inherited for garbage would take a tenth of them.
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _call(number: int) -> Any:
    assert _inherited is not None
    function, items = _inherited
    return function(items[number])
