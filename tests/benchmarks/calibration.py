"""Timing a piece of work in units of calibration kernels, so that the figure survives a busy or a changed machine.

Kernels run before and after every call of the work, in the same process: what slows the machine for a while slows both.
What is read is processor time, not the clock on the wall: what other programs get meanwhile does not count.
"""

import resource
import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np

Work = Callable[[], object]
Clock = Callable[[], float]

SMALL = np.ones((384, 384), dtype=np.float32)
LARGE = np.ones(6 << 20, dtype=np.float32)
COPY = np.empty_like(LARGE)

TURNS = 3
"""How often every path has its turn in a session."""
SLOWDOWN = "VHBENCH_SLOWDOWN"
"""Environment variable that slows a path, to prove that this is caught: its name, `=`, and the share, such as 0.3."""


def processor_seconds() -> float:
    """Seconds of processor time of this process, all its threads, and the processes that it has waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def product() -> None:
    """Products of float32 matrices that lie in the cache."""
    for _ in range(4):
        SMALL @ SMALL


def copy() -> None:
    """A copy of 24 MB, more than a core's own caches hold."""
    np.copyto(COPY, LARGE)


def loop() -> None:
    """Python's interpreter: numbers, strings and a dictionary."""
    counts: dict[str, int] = {}
    for number in range(20_000):
        key = str(number % 97)
        counts[key] = counts.get(key, 0) + number


def interpreter() -> None:
    """Python's start: files found, read and run in a new process."""
    subprocess.run([sys.executable, "-c", "import json, email.message"], check=True)


KERNELS: dict[str, Work] = {"product": product, "copy": copy, "loop": loop, "interpreter": interpreter}


def time_kernels(names: Sequence[str], clock: Clock = processor_seconds) -> float:
    """Seconds of one run of each of these kernels: their geometric mean, in which every kernel weighs alike."""
    times = []
    for name in names:
        start = clock()
        KERNELS[name]()
        times.append(clock() - start)
    return float(np.exp(np.mean(np.log(times))))


def normalised(seconds: Sequence[float], kernels: Sequence[float]) -> float:
    """How many times as long as the kernels the work takes: the median over calls.

    Args:
        seconds: of n calls of the work.
        kernels: seconds of the kernels, n + 1 times: before every call, and after the last.
    """
    around = np.sqrt(np.multiply(kernels[:-1], kernels[1:]))
    return float(np.median(np.divide(seconds, around)))


def slowed(work: Work, share: float, clock: Clock = processor_seconds) -> Work:
    """The work, and then as much idle spinning as makes it take `share` longer: a slowdown of known size."""

    def slower() -> None:
        start = clock()
        work()
        end = clock() + share * (clock() - start)
        while clock() < end:
            pass

    return slower
