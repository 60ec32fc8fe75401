"""The speed of every path that users wait for, in units of calibration kernels: `tests.benchmarks.speed_check` runs it.

Each test is quick; docs/speed-checks.md says what the figures mean. The other files here compare two ways of doing one
thing, at sizes that show the difference.
"""

import os
from functools import cache
from typing import Any

import pytest

from .calibration import SLOWDOWN, TURNS, Work, normalised, processor_seconds, slowed, time_kernels
from .paths import PATHS

SECONDS, FEWEST, MOST = 0.3, 3, 12
"""Of the rounds of a path in its turn: about this long, and how many."""


@cache
def prepared(name: str) -> Work:
    """The work of a path, warm; slowed, if the environment says so."""
    work = PATHS[name].prepare()
    slow, _, share = os.environ.get(SLOWDOWN, "").partition("=")
    work()
    return slowed(work, float(share)) if slow == name else work


# All paths in turn, and again: a slow minute of the machine spoils one turn of several paths, not all of one.
@pytest.mark.benchmark(timer=processor_seconds)
@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("turn", range(TURNS))
def test_path(benchmark: Any, turn: int, name: str) -> None:
    kernels, work = PATHS[name].kernels, prepared(name)
    start = processor_seconds()
    work()
    rounds = min(MOST, max(FEWEST, round(SECONDS / (processor_seconds() - start))))
    time_kernels(kernels)
    around: list[float] = []
    benchmark.pedantic(work, setup=lambda: around.append(time_kernels(kernels)), rounds=rounds, iterations=1)
    around.append(time_kernels(kernels))
    ratio = normalised(benchmark.stats.stats.data, around)
    benchmark.extra_info.update(path=name, kernels=list(kernels), ratio=ratio)
