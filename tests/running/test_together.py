"""Several `bench run` on one results folder, some of them killed: every run is done once, and all records are whole."""

import os
import random
from collections import Counter
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from bench.base.atomic import remove
from bench.base.processes import this_process
from bench.running import runner as running
from bench.running.queue import RunQueue, alone
from bench.store.leases import LEASES, MEASURING, Leases
from bench.store.store import Store
from tests.conftest import survived
from tests.running.conftest import Start, bench_run, planned, records, runner

KILLS = int(os.environ.get("VHBENCH_KILLS", "12"))
SWEEP = ("--methods", "steady", "--bits", "8,16", "--seeds", "0,1", "--set", "steady.epochs=25", "--set",
         "steady.batch_size=4")  # fmt: skip
ALL = ("--shard", "1/1")
"""Without a report, which takes longer than the sweep."""


@pytest.fixture(scope="module")
def undisturbed(starter: ForkServerContext, features: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a sweep leaves that nothing disturbs."""
    results = tmp_path_factory.mktemp("undisturbed")
    status, said = bench_run(starter, features, results, *SWEEP, *ALL).end()
    assert status == 0, said
    return records(results)


def test_two_at_once_do_every_run_once(start: Start, tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    trained = tmp_path / "trained"
    both = [start(*SWEEP, *ALL, TRAINED=str(trained)) for _ in range(2)]
    for bench in both:
        status, said = bench.end()
        assert status == 0, said
    done = [line.split() for line in trained.read_text().splitlines()]
    assert sorted((bits, seed) for bits, seed, _ in done) == [("16", "0"), ("16", "1"), ("8", "0"), ("8", "1")]
    assert len(undisturbed) == 4
    assert records(tmp_path / "results") == undisturbed
    assert not list((tmp_path / "results" / LEASES).iterdir())
    survived("sweeps that share their results with another")


def test_killed_at_random_moments(start: Start, tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    """At moments that follow what the sweep says, drawn with a seed."""
    moments, results = random.Random(0), tmp_path / "results"
    for kill in range(KILLS):
        bench = start(*SWEEP, *ALL, SAVE_ALWAYS="1")
        watched = moments.choice(["started", "in the second epoch", "loading"])
        try:
            bench.until(watched)
        except AssertionError:  # the sweep was done before: the moments that are left come in a new one
            assert bench.end()[0] == 0
            assert records(results) == undisturbed
            results.rename(tmp_path / f"done-{kill}")
            continue
        # The kernel wakes both at once; spinning for a number of rounds lands anywhere in what follows.
        for _ in range(moments.randrange(2**20)):
            pass
        bench.kill()
        bench.end()
        # What is stored is readable at any time.
        stored = records(results)
        assert all(undisturbed[folder] == values for folder, values in stored.items())
        survived("sweeps killed at random moments (SIGKILL)")
    status, said = start(*SWEEP, *ALL).end()
    assert status == 0, said
    assert records(results) == undisturbed
    assert not list(results.glob("*/*/.*"))


def test_a_shard_does_its_share(start: Start, tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    for number in (1, 2):
        status, said = start(*SWEEP, "--shard", f"{number}/2").end()
        assert status == 0, said
        assert len(records(tmp_path / "results")) == 2 * number
    assert records(tmp_path / "results") == undisturbed
    assert not list(tmp_path.glob("*report*"))


def test_waits_for_others_and_takes_what_they_leave(features: Path, tmp_path: Path) -> None:
    wanted = planned(features, "plain", 2)
    others = Leases(tmp_path / LEASES)
    first, second = (others.take(run.spec.identity) for run in wanted)
    assert first
    assert second
    said: list[str] = []
    waits = Counter[str]()

    def wait() -> None:
        waits["in all"] += 1
        if waits["in all"] == 1:  # the other process stores one run …
            runner(tmp_path / "elsewhere").run(wanted[:1])
            place = tmp_path / wanted[0].spec.folder
            place.parent.mkdir(parents=True)
            (tmp_path / "elsewhere" / wanted[0].spec.folder).rename(place)
            first.release()
        else:  # … and leaves the other
            second.release()

    runs = runner(tmp_path, said, wait=wait).run(wanted)
    assert [run.record.status for run in runs] == ["done", "done"]
    assert waits["in all"] == 2
    assert [line for line in said if "waiting" in line] == [
        "waiting for 2 runs of other processes",
        "waiting for 1 runs of other processes",
    ]
    assert any(line.startswith("[1/2]") and line.endswith("done, stored") for line in said)


def test_a_lost_lease_leaves_the_others_result(features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While this process slept, another took the run over and stored it."""
    wanted, said = planned(features, "plain"), list[str]()
    do_run = running.do_run  # type: ignore[attr-defined]

    def slow(*arguments: Any) -> Any:
        monkeypatch.setattr("bench.running.runner.do_run", do_run)
        remove(tmp_path / LEASES / wanted[0].spec.identity)
        runner(tmp_path).run(wanted)
        return do_run(*arguments)

    monkeypatch.setattr("bench.running.runner.do_run", slow)
    (run,) = runner(tmp_path, said).run(wanted)
    assert run == next(Store(tmp_path).runs())
    assert any("taken over by another process" in line for line in said)
    survived("leases lost")


def test_nothing_runs_beside_a_measurement(features: Path, tmp_path: Path) -> None:
    wanted, said = planned(features, "plain"), list[str]()
    leases = Leases(tmp_path / LEASES)
    steps: list[str] = []
    queue = RunQueue(Store(tmp_path), leases, wanted, lambda stored: False, lambda: bool(steps),
                     lambda: steps.append("waited"), said.append)  # fmt: skip
    with alone(leases, lambda: None, said.append):
        assert queue.next() is None
    assert steps == ["waited"]
    steps.clear()
    job = queue.next()
    assert job is not None

    def finish() -> None:
        steps.append("waited")
        assert job is not None
        job.lease.release()

    with alone(leases, finish, said.append):
        assert steps == ["waited"]
        assert leases.holder(MEASURING) == this_process()
    assert "waiting for other processes' runs on this machine before measuring" in said
