"""A `bench` command as the process that it is forked into does it; imported there by its file's name."""

import os
import resource
import sys
from multiprocessing.connection import Connection

from bench.cli import main
from bench.learning.states import TrainingStates
from bench.metrics.tie_sums import harmonic_numbers
from bench.running import forking
from bench.store import leases

# The first kernel of a process makes numba read its declarations: done before processes are forked, it costs them none.
harmonic_numbers(1)


def bench(said: Connection, arguments: list[str], environment: dict[str, str]) -> None:
    """Do a command; what it says goes into the connection as it is."""
    os.setsid()
    os.environ.update(environment)
    for stream in (1, 2):
        os.dup2(said.fileno(), stream)
    said.close()
    if "SAVE_ALWAYS" in environment:
        TrainingStates.due = lambda self: True  # type: ignore[method-assign]
    if "LARGEST_FILE" in environment:
        limit = int(environment["LARGEST_FILE"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    leases.POLL_SECONDS = 0.05
    # Isolated runs here train little: what they need they import, and the others start seconds earlier.
    vars(forking)["TRAINING_LIBRARIES"] = ()
    vars(forking)["import_early"] = lambda threads: None
    sys.exit(main(arguments))
