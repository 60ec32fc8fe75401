"""A sweep of trainings by default, as many at a time as fit with one thread each, against one after the other.

`python -m tests.benchmarks.sweep_at_once` takes minutes. It trains MCMSH and BTH with 16 and 32 bits for one epoch of
`moving-digits`, three ways in turn: by default, and one at a time in this process with one thread and with all cores.
Costs are not measured, which no way of training changes.
"""

import statistics
import tempfile
import time
from pathlib import Path

import torch

from bench.base.processes import usable_cores
from bench.registry import load_registry
from bench.running.isolation import Isolation
from bench.running.jobs import AsManyAsFit
from bench.running.plan import plan
from bench.running.runner import Runner
from bench.store.store import Store
from bench.store.stored_run import StoredRun

ROUNDS = 3


class Trainer(Runner):
    """A runner that measures no costs."""

    def _unmeasured(self, stored: StoredRun) -> bool:
        return False


def seconds(isolation: AsManyAsFit | None, threads: int) -> float:
    """The time of the sweep in a new results folder."""
    runs = plan(
        load_registry(),
        methods=["mcmsh", "bth"],
        datasets=["moving-digits"],
        bits=[16, 32],
        seeds=[0],
        parameters={"mcmsh": {"epochs": 1}, "bth": {"epochs": 1}},
    )
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = Trainer(Store(Path(folder)), torch.device("cpu"), isolation=isolation, threads=threads).run(runs)
        assert all(run.record.status == "done" for run in done)
        return time.perf_counter() - start


def main() -> None:
    """Print the times and the median ratios."""
    ways = {
        "by default": (AsManyAsFit(Isolation(threads=1)), 1),
        "one at a time, one thread": (None, 1),
        "one at a time, all cores": (None, usable_cores()),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            taken[name].append(seconds(*way))
            print(f"{name}: {taken[name][-1]:.1f} s", flush=True)
    for name, times in taken.items():
        ratios = [one / default for one, default in zip(times, taken["by default"], strict=True)]
        print(f"{name}: {statistics.median(ratios):.2f} times the time of the default")


if __name__ == "__main__":
    main()
