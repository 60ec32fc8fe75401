"""Sweeps on a real cluster of several node and worker processes, some of which are killed."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.base.errors import InputError
from bench.base.progress import Stopped
from bench.store.leases import Claim
from bench.store.store import Store
from bench.store.stored_run import StoredRun
from tests.conftest import survived
from tests.ray.conftest import here, on_cluster, planned
from tests.running.conftest import records

EPOCHS = 5


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    """A folder where `watched` notes what it does, and waits in its third epoch for `go`."""
    folder = tmp_path / "hooks"
    folder.mkdir()
    return folder


@pytest.fixture
def unshared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nodes see the driver's lease nowhere, as where they share no file system with it."""
    from bench.running.ray import executor
    from bench.running.ray.node import Order

    def order(**values: Any) -> Order:
        return replace(Order(**values), claim=Claim(str(tmp_path / "on-the-driver-alone"), 0))

    monkeypatch.setattr(executor, "Order", order)


def test_a_cluster_gives_the_same(cluster: Any, tmp_path: Path, one_thread: None) -> None:
    wanted = planned("itq,watched", epochs=EPOCHS)
    here(tmp_path / "here").run(wanted)
    said: list[str] = []
    runs = on_cluster(tmp_path / "there", said.append).run(wanted)
    assert {run.record.status for run in runs} == {"done"}, _of(runs)
    assert records(tmp_path / "there") == records(tmp_path / "here")
    assert not list((tmp_path / "there/.leases").iterdir())
    assert {run.record.environment["threads"] for run in runs} == {1}
    # News came here from both.
    assert sum(": on " in line for line in said) == 2, said


@pytest.mark.parametrize("shared", [True, False])
def test_stopped_once_goes_on(
    shared: bool, cluster: Any, hooks: Path, tmp_path: Path, one_thread: None, request: pytest.FixtureRequest
) -> None:
    if not shared:
        request.getfixturevalue("unshared")
    wanted = planned("watched", epochs=EPOCHS, hooks=str(hooks))

    def ask() -> None:
        _until(hooks / "waiting")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with _beside(ask), pytest.raises(Stopped, match="stopped after epoch 3 of 5"):
        on_cluster(tmp_path / "stopped").run(wanted)
    assert not list(Store(tmp_path / "stopped").runs())
    # On the cluster where the state has to travel back, else here.
    again = here(tmp_path / "stopped") if shared else on_cluster(tmp_path / "stopped")
    (stored,) = again.run(wanted)
    assert (hooks / "epochs").read_text().split() == ["0", "1", "2", "3", "4"]
    assert not Store(tmp_path / "stopped").training_folder(stored.record.spec).exists()
    (hooks / "go").touch()
    here(tmp_path / "whole").run(wanted)
    assert records(tmp_path / "stopped") == records(tmp_path / "whole")
    survived("requests to stop that reach nodes")


def test_failures_travel_back(cluster: Any, tmp_path: Path, unshared: None) -> None:
    """From nodes that share no file system, with the command that tries again here."""
    results = tmp_path / "with a space"
    (run,) = on_cluster(results).run(planned("segfault"))
    assert run.record.reason == "segmentation fault (signal 11)"
    text = run.verified("traceback.txt").read_text(encoding="utf-8")
    assert f"--results '{results}' --existing retry-failed" in text
    assert "vhbench-" not in text
    survived("methods that crash on a node")


def test_nodes_with_other_software_or_data_are_refused(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.running.ray import executor

    (run,) = planned("segfault")
    other = replace(
        run,
        spec=run.spec.model_copy(update={"dataset_fingerprint": "another"}),
        summary=run.summary.model_copy(update={"fingerprint": "another"}),
    )
    with pytest.raises(
        InputError, match=r"^node .*: small: differs from the dataset that the sweep was started with; copy"
    ):
        on_cluster(tmp_path).run([other])
    monkeypatch.setattr(executor, "versions", lambda: {"vhbench": "0.0.7"})
    with pytest.raises(InputError, match=r"^node .*: vhbench is 0\.1\.0 here, and 0\.0\.7 where the sweep was started"):
        on_cluster(tmp_path).run([run])


def test_what_no_node_has_is_said_at_once(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"segfault/8-.* asks for 64 CPUs, .*which no node of the cluster has"):
        on_cluster(tmp_path, threads=64).run(planned("segfault"))


def test_what_is_lost_is_begun_again(
    cluster: Any, hooks: Path, tmp_path: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method kills its worker again and again; then the node beside it is killed, in a training."""
    from bench.running.ray import executor

    assert executor.RETRIES == 2
    # Every attempt starts processes that import PyTorch: one retry shows as much, in less time.
    monkeypatch.setattr(executor, "RETRIES", 1)
    wanted = planned("watched,kills-worker", epochs=EPOCHS, hooks=str(hooks))
    results, said = tmp_path / "there", list[str]()

    def kill() -> None:
        process = psutil.Process(int(_until(hooks / "waiting").read_text()))
        (raylet,) = [parent.pid for parent in process.parents() if parent.name() == "raylet"]
        (lost,) = [node for node in cluster.worker_nodes if _raylet(node) == raylet]
        # Not earlier: Ray might start the other run on the lost node before it notices, and count that as an attempt.
        while not any("kills-worker" in line and ": failed in " in line for line in said):
            time.sleep(0.02)
        cluster.remove_node(lost, allow_graceful=False)
        process.wait()
        (hooks / "go").touch()

    with _beside(kill):
        runs = on_cluster(results, said.append).run(wanted)
    watched, lost = (run.record for run in runs)
    assert watched.status == "done", _of(runs)
    assert sum("lost, and started again" in line and "watched" in line for line in said) == 1, said
    assert any("resumes after epoch 2" in line for line in said), said
    assert (hooks / "epochs").read_text().split() == ["0", "1", "2", "2", "3", "4"]
    assert lost.status == "failed"
    assert "was lost 2 times" in str(lost.reason)
    assert sum("lost, and started again" in line and "kills-worker" in line for line in said) == 1, said
    text = runs[1].verified("traceback.txt").read_text(encoding="utf-8")
    assert f"--results {results} --existing retry-failed" in text
    here(tmp_path / "here").run(wanted[:1])
    undisturbed = records(tmp_path / "here")
    assert {name: values for name, values in records(results).items() if name in undisturbed} == undisturbed
    survived("nodes killed during a training")
    survived("worker processes killed by their run", 2)


def _of(runs: Sequence[StoredRun]) -> str:
    return "\n".join(f"{run.record.spec.folder}: {run.record.status} {run.record.reason}" for run in runs)


def _raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


def _until(path: Path) -> Path:
    """The path, once it is there; the tests' own time limit is that of whoever runs them."""
    while not path.exists():
        time.sleep(0.02)
    return path


@contextmanager
def _beside(work: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread while the context is open."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    thread.join()
