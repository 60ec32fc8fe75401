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
"""Modules that trainings import at their start, which takes seconds; PyTorch's optimisers import its compiler."""


def fork_server_context(threads: int | None) -> ForkServerContext:
    """A context that forks processes from one that has imported everything and started no thread.

    `threads`: number per run; None leaves it to the libraries. Raises OSError if no process can be started.
    """
    context = multiprocessing.get_context("forkserver")
    built_in = {plugin.__module__ for plugin in load_registry().origins if plugin.__module__.startswith("bench.")}
    loaded = ["bench.running.fork_server", "bench.running.worker", *sorted(built_in), *TRAINING_LIBRARIES]
    context.set_forkserver_preload(loaded)
    changes = {name: str(threads) for name in VARIABLES} if threads else {}
    # Otherwise a random.py in the working folder would replace Python's own.
    changes |= {} if "PYTHONSAFEPATH" in os.environ else {"PYTHONSAFEPATH": "fork server"}
    with _environment(changes):
        resource_tracker.ensure_running()  # before signals are blocked: it unblocks them
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
