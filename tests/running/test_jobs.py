"""The default of a sweep: as many trainings at a time as the machine allows, one thread each, and the same codes."""

from dataclasses import replace
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.base.process_state import limited_threads
from bench.learning.method import Resources
from bench.running import jobs
from bench.running.isolation import IsolatedRuns, Isolation
from bench.running.jobs import AsManyAsFit, jobs_at_once, trainings
from bench.store.stored_run import CODES
from tests.running.conftest import PLUGIN, planned, runner

CPU = torch.device("cpu")
BY_DEFAULT = AsManyAsFit(Isolation((PLUGIN,), threads=1))


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cores, on any machine."""
    monkeypatch.setattr(jobs, "usable_cores", lambda: 4)


@pytest.mark.usefixtures("cores")
def test_cores_runs_memory_and_the_gpu_limit_the_runs_at_a_time(
    features: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = planned(features, "steady", seeds=6)
    shape = runs[0].summary.train_videos * runs[0].summary.frames * runs[0].summary.dimensions
    declared = runs[0].method.resources(runs[0].summary).memory
    assert declared

    def with_memory(free: float) -> int:
        monkeypatch.setattr(jobs, "free_memory", lambda: int(free))
        return jobs_at_once(runs, CPU)

    assert with_memory(1e15) == 4
    assert jobs_at_once(runs[:2], CPU) == 2
    assert jobs_at_once([], CPU) == jobs_at_once(runs, torch.device("cuda")) == 1
    assert with_memory(3.5 * declared) == 3
    assert with_memory(declared / 2) == 1
    # Half of what is free is for features of four bytes; where those of one run do not fit, nobody loads them.
    large = runs[0].summary.model_copy(update={"train_videos": 10**9 * runs[0].summary.train_videos})
    runs = [replace(run, summary=large) for run in runs]
    monkeypatch.setattr(runs[0].method, "resources", classmethod(lambda cls, summary: Resources(memory=1)))
    assert with_memory(2 * 4e9 * shape * 2.5) == 2
    assert with_memory(2 * 4e9 * shape * 0.9) == 4


def test_only_trainings_are_worth_a_process(features: Path) -> None:
    runs = planned(features, "plain,steady", seeds=2)
    assert [run.spec.method for run in trainings(runs)] == ["steady", "steady"]
    runner_of_plain = BY_DEFAULT.executor(None, CPU, None, planned(features, "plain", seeds=2))  # type: ignore[arg-type]
    with runner_of_plain as executor:
        assert executor is None


@pytest.mark.usefixtures("cores")
def test_codes_and_threads_are_those_of_one_run_alone(
    starter: ForkServerContext, features: Path, tmp_path: Path
) -> None:
    wanted, said = planned(features, "steady", seeds=2, epochs=2), list[str]()
    together = runner(tmp_path / "together", said, BY_DEFAULT).run(wanted)
    assert "2 runs at a time" in said
    alone = [runner(tmp_path / "alone", isolation=BY_DEFAULT, threads=1).run([run])[0] for run in wanted]
    for one, other in zip(together, alone, strict=True):
        assert one.record.environment["threads"] == other.record.environment["threads"] == 1
        with np.load(one.verified(CODES)) as first, np.load(other.verified(CODES)) as second:
            for name in first.files:
                np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.usefixtures("cores")
def test_without_processes_runs_are_done_in_this_one(
    features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: IsolatedRuns) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(IsolatedRuns, "context", property(refused))
    runs = runner(tmp_path, isolation=BY_DEFAULT).run(planned(features, "steady", seeds=2, epochs=1))
    assert [run.record.status for run in runs] == ["done", "done"]


def test_a_limit_of_threads_ends() -> None:
    before = torch.get_num_threads()
    with limited_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with limited_threads(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before
