"""The multiprocessing context that isolated runs are forked from."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext

from bench.base.processes import VARIABLES
from bench.registry import load_registry

TRAINING_LIBRARIES = ("faiss", "torch._dynamo")
"""What trainings import when they begin, which takes seconds; PyTorch's optimisers bring its compiler."""


def fork_server_context(threads: int | None) -> ForkServerContext:
    """What starts processes: copies of one that has imported everything, and has started no thread.

    `threads`: how many a run computes with; None: as libraries choose. Raises OSError if no process can be started.
    """
    context = multiprocessing.get_context("forkserver")
    built_in = {plugin.__module__ for plugin in load_registry().origins if plugin.__module__.startswith("bench.")}
    loaded = ["bench.running.fork_server", "bench.running.worker", *sorted(built_in), *TRAINING_LIBRARIES]
    context.set_forkserver_preload(loaded)
    changes = {name: str(threads) for name in VARIABLES} if threads else {}
    # Else the working folder comes first there, with somebody's random.py in place of Python's.
    changes |= {} if "PYTHONSAFEPATH" in os.environ else {"PYTHONSAFEPATH": "fork server"}
    with _environment(changes):
        resource_tracker.ensure_running()  # which unblocks signals
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
