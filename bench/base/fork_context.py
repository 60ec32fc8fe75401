"""The multiprocessing context that killable processes are forked from."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext

from bench.base.processes import VARIABLES


def fork_server_context(modules: Sequence[str], threads: int | None) -> ForkServerContext:
    """A context that forks processes from one that has imported these modules and started no thread.

    `threads`: number per process; None leaves it to the libraries. A program has one such process: modules asked for
    after it was started are imported by each fork. Raises OSError if no process can be started.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.base.fork_server", *modules])
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
