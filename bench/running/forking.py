"""The process that isolated runs are forked from. This file imports nothing that takes long."""

import pkgutil
from contextlib import suppress
from importlib.util import find_spec
from multiprocessing.context import ForkServerContext

from bench.base.fork_context import fork_server_context
from bench.base.processes import usable_cores

TRAINING_LIBRARIES = ("faiss", "torch._dynamo")
"""Modules that trainings import at their start, which takes seconds; PyTorch's optimisers import its compiler."""


def run_context(threads: int | None) -> ForkServerContext:
    """A context whose processes have all that runs need imported, and `threads` threads; see `fork_server_context`."""
    packages = [(name, find_spec(name)) for name in ("bench.methods", "bench.datasets")]
    built_in = [
        module.name
        for name, found in packages
        if found is not None
        for module in pkgutil.iter_modules(found.submodule_search_locations, f"{name}.")
    ]
    return fork_server_context(["bench.running.worker", *built_in, *TRAINING_LIBRARIES], threads)


def import_early(threads: int) -> None:
    """Have imports begin that take seconds, while this process does the same ones, if it has more than one core."""
    if usable_cores() > 1:
        with suppress(OSError, EOFError):  # reported where runs need processes
            run_context(threads)
