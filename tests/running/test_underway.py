"""What is under way or interrupted is listed; what ran out of time goes on from its state."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from bench.base.progress import SilentProgress, Stopped
from bench.cli import main
from bench.running.one_run import do_run, fit_context, new_record
from bench.running.plan import PlannedRun
from bench.store.leases import LEASES, Leases
from bench.store.prune import superfluous, unfinished
from bench.store.record import Status
from bench.store.store import SPEC_FILE, Store
from tests.conftest import survived
from tests.running.conftest import planned, records, runner


class Interrupting:
    """A display that asks this process to stop in the third epoch's first step."""

    def __init__(self) -> None:
        self.epoch = 0

    def sweep(self) -> "Interrupting":
        return self

    def run(self, label: str) -> "Interrupting":
        return self

    def overall(self, done: int, total: int, left: float | None) -> None:
        pass

    def task(self, description: str, steps: int) -> "Interrupting":
        return self

    def advance(self, status: str = "") -> None:
        if status.startswith("epoch 3/"):
            signal.raise_signal(signal.SIGINT)

    def __enter__(self) -> "Interrupting":
        return self

    def __exit__(self, *error: object) -> None:
        pass


@pytest.fixture
def interrupted(features: Path, tmp_path: Path) -> PlannedRun:
    """A training of six epochs, interrupted after the third."""
    (run,) = planned(features, "steady", epochs=6, batch_size=40)
    with pytest.raises(Stopped):
        runner(tmp_path / "results", display=Interrupting()).run([run])
    return run


def listed(results: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    assert main(["list", "runs", "--results", str(results)]) == 0
    return capsys.readouterr().out.splitlines()[2:]


def test_an_interrupted_training_is_listed(
    interrupted: PlannedRun, features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    (state,) = (results / ".training").rglob("*.safetensors")
    os.utime(state, (1_700_000_000, 1_700_000_000))
    (line,) = listed(results, capsys)
    assert line.split()[:5] == ["interrupted", "toy", "steady", "8", "0"]
    assert "3 of 6 epochs done, saved 2023-11-14 22:13 UTC" in line
    assert line.endswith(f".training/{interrupted.spec.folder}")
    runner(results).run([interrupted])
    (line,) = listed(results, capsys)
    assert line.startswith("done ")


def test_a_run_under_way_is_listed_with_its_machine(
    interrupted: PlannedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lease = Leases(tmp_path / "results" / LEASES).take(interrupted.spec.identity)
    assert lease is not None
    (line,) = listed(tmp_path / "results", capsys)
    lease.release()
    assert line.split()[:5] == ["running", "toy", "steady", "8", "0"]
    assert f"on {socket.gethostname()}: 3 of 6 epochs done" in line


def test_a_stored_run_that_is_done_again_is_listed_twice(
    features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = planned(features, "plain")
    runner(tmp_path).run([run])
    assert len(listed(tmp_path, capsys)) == 1
    Store(tmp_path).begin(run.spec)
    assert len(listed(tmp_path, capsys)) == 1
    lease = Leases(tmp_path / LEASES).take(run.spec.identity)
    assert lease is not None
    states = [line.split()[0] for line in listed(tmp_path, capsys)]
    lease.release()
    assert states == ["done", "running"]


@pytest.mark.parametrize("note", [b"", b"[]", b"{}", b"\xff", b'{"method": "\x1b[2J"}'])
def test_what_was_left_damaged_is_no_obstacle(
    note: bytes, interrupted: PlannedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    folder = Store(results).training_folder(interrupted.spec)
    (folder / SPEC_FILE).write_bytes(note)
    (results / LEASES / interrupted.spec.identity).write_bytes(note)
    (state,) = folder.glob("*/*.safetensors")
    assert "3 epochs done" in listed(results, capsys)[0]
    state.write_bytes(note)
    (line,) = listed(results, capsys)
    assert "the saved state cannot be read" in line
    state.unlink()
    os.mkfifo(state)
    assert "no epoch saved yet" in listed(results, capsys)[0]
    (found,) = unfinished(Store(results))
    assert (found.seed, found.bits, found.dataset) == (None, "8", "toy")


def test_a_note_of_another_run_is_not_believed(interrupted: PlannedRun, tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    path = store.training_folder(interrupted.spec) / SPEC_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 7}))
    (found,) = unfinished(store)
    assert found.seed is None


@pytest.mark.parametrize(("status", "goes_on"), [("timeout", True), ("failed", False)])
def test_what_ran_out_of_time_goes_on_and_what_failed_begins_anew(
    status: Status, goes_on: bool, interrupted: PlannedRun, tmp_path: Path
) -> None:
    import torch

    results = tmp_path / "results"
    store = Store(results)
    store.write(new_record(interrupted, torch.device("cpu"), status), lambda folder: None)
    assert store.training_folder(interrupted.spec).exists() == goes_on
    assert not list(unfinished(store))
    said: list[str] = []
    (again,) = runner(results, said, existing="retry-failed").run([interrupted])
    assert again.record.status == "done"
    assert any("resumes after epoch 3" in line for line in said) == goes_on
    assert not store.training_folder(interrupted.spec).exists()
    runner(tmp_path / "whole").run([interrupted])
    assert records(results) == records(tmp_path / "whole")
    survived(f"runs stored as {status} that were tried again")


def test_the_time_before_an_interruption_counts(interrupted: PlannedRun, tmp_path: Path) -> None:
    """The report's column `fit (s)` is the time of the whole training."""
    import torch

    store = Store(tmp_path / "results")
    context = fit_context(store, interrupted, torch.device("cpu"), SilentProgress(), lambda line: None)
    assert context.states
    context.states.earlier = 1000.0
    stored = do_run(interrupted, interrupted.source.load(), store, context, lambda: True)
    assert stored
    assert stored.record.durations["fit"] > 1000


def test_a_retry_that_was_interrupted_is_listed_and_kept(interrupted: PlannedRun, tmp_path: Path) -> None:
    import torch

    results = tmp_path / "results"
    store = Store(results)
    store.write(new_record(interrupted, torch.device("cpu")), lambda folder: None)
    with pytest.raises(Stopped):
        runner(results, display=Interrupting(), existing="retry-failed").run([interrupted])
    (found,) = unfinished(store)
    assert found.host is None
    assert found.progress.startswith("3 of 6 epochs done")
    assert not superfluous(store)
    said: list[str] = []
    runner(results, said, existing="retry-failed").run([interrupted])
    assert any("resumes after epoch 3" in line for line in said)
    assert not list(unfinished(store))
