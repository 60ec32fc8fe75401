"""The number of runs at a time that this machine allows, and the default of a sweep that follows from it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch

from bench.base.processes import usable_cores
from bench.learning.deep_method import DeepMethod
from bench.learning.residency import MEMORY_SHARE, free_memory
from bench.running.isolation import Executor, IsolatedRuns, Isolation
from bench.running.plan import PlannedRun
from bench.running.stopping import StopRequest
from bench.store.store import Store

FLOAT_BYTES = 4


@dataclass(frozen=True)
class AsManyAsFit:
    """Isolated runs, as many at a time as the machine allows: a factory of executors.

    Where that is one, or no process can be started, runs are done in this process, unless isolation was asked for.
    """

    rules: Isolation
    always: bool = False
    """Isolation was asked for."""

    def executor(
        self, store: Store, device: torch.device, stop: StopRequest, runs: Sequence[PlannedRun]
    ) -> AbstractContextManager[Executor | None]:
        """Processes of this machine, or none; see `ExecutorFactory`."""
        jobs = jobs_at_once(runs if self.always else trainings(runs), device)
        executor = IsolatedRuns(store, device, stop, replace(self.rules, jobs=jobs))
        return nullcontext(executor if self.always or (jobs > 1 and executor.can_start()) else None)


def trainings(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs that train a network. The others take seconds, less than a process of their own would save."""
    return [run for run in runs if issubclass(run.method, DeepMethod)]


def jobs_at_once(runs: Sequence[PlannedRun], device: torch.device) -> int:
    """As many of these runs as there are cores and free memory for, at least one; one on a GPU, which it fills.

    Features that one run can hold in memory are not to be read from their file because there are several.
    """
    if not runs or device.type != "cpu":
        return 1
    free = free_memory()
    declared = max(run.method.resources(run.summary).memory or 0 for run in runs)
    features = max(run.summary.train_videos * run.summary.frames * run.summary.dimensions for run in runs) * FLOAT_BYTES
    fitting = [free // max(1, declared)]
    if features <= MEMORY_SHARE * free:
        fitting.append(int(MEMORY_SHARE * free / max(1, features)))
    return max(1, min(usable_cores(), len(runs), *fitting))
