"""PyTorch's process-wide state, used by one call at a time.

All threads share its random stream, its switch for deterministic algorithms and its default type. Code that draws from
that stream, or relies on those settings, waits here for its turn.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn's

from bench.base.errors import InputError

# cuBLAS is deterministic only with a fixed workspace. PyTorch looks here once, at the first matrix product on a GPU, be
# it an encoder's; had it found nothing, a later training would fail.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
DETERMINISM: Any = torch.utils.deterministic
"""A module that type checkers see no attributes of."""
_turn = threading.RLock()
_followed = False
"""Whether forked processes are prepared for PyTorch."""
_forked = False
"""Whether this process was forked from one that had used PyTorch through this module."""
_gpu = False
"""Whether the machine has a GPU."""


@contextmanager
def own_process_state() -> Iterator[None]:
    """Wait for other threads, then give PyTorch the state of a new process; restore the former state afterwards.

    Nested calls in one thread do not block. Raises InputError as `require_usable` does.
    """
    require_usable()
    _follow_forks()
    with _turn, ExitStack() as stack:
        devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
        stack.enter_context(torch.random.fork_rng(devices))
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float32)
        if torch.get_default_device().type != "cpu":
            # Only then: while such a context is open, every call of PyTorch passes through it.
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        # The caller may be within `torch.no_grad()`, as requests of a web server are.
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.enable_grad())
        yield


def require_usable() -> None:
    """InputError in a process forked from one that used PyTorch, on a machine with a GPU.

    There neither CUDA nor training works after a fork.
    """
    if _forked and _gpu:
        raise InputError(
            "this process was forked from one that used PyTorch, which does not work on a machine with a GPU; start "
            "processes by multiprocessing.get_context('spawn')"
        )


@contextmanager
def deterministic() -> Iterator[None]:
    """While open, torch uses deterministic algorithms only: the same seed gives the same codes, to the bit."""
    before, filled = torch.get_deterministic_debug_mode(), DETERMINISM.fill_uninitialized_memory
    # `use_deterministic_algorithms` does the same, and brings PyTorch's compiler, which takes seconds.
    torch.set_deterministic_debug_mode("error")
    # Else every new tensor is filled before its values are written.
    DETERMINISM.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)
        DETERMINISM.fill_uninitialized_memory = filled


@contextmanager
def limited_threads(number: int | None) -> Iterator[None]:
    """While open, PyTorch and loaded libraries for linear algebra use so many threads; None: as many as before."""
    if number is None:
        yield
        return
    before = torch.get_num_threads()
    with threadpool_limits(number):
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _follow_forks() -> None:
    """From the first use of PyTorch on, forked processes compute with one thread."""
    global _followed, _gpu
    if not _followed:
        _followed, _gpu = True, torch.cuda.is_available()
        os.register_at_fork(after_in_child=_in_forked)


def _in_forked() -> None:
    global _turn, _forked
    # Whichever thread had the turn is not here any more.
    _turn, _forked = threading.RLock(), True
    # OpenMP's threads are not copied either, and would be waited for without end.
    torch.set_num_threads(1)
    if "faiss" in sys.modules:
        sys.modules["faiss"].omp_set_num_threads(1)
