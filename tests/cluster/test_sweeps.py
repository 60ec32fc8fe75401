"""Sweeps on a real cluster of several node and worker processes, some of which are killed."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.context import Stopped
from bench.errors import InputError
from bench.store import Store, StoredRun
from tests.cluster.conftest import Nodes, here, on_cluster, planned
from tests.cluster.plugin import SIZES
from tests.conftest import survived
from tests.running.conftest import records

EPOCHS = 5


def test_a_cluster_gives_the_same(nodes: Nodes, tmp_path: Path, one_thread: None) -> None:
    wanted = planned("itq,watched,plain", epochs=EPOCHS)
    here(tmp_path / "here").run(wanted)
    nodes.reads.unlink(missing_ok=True)
    said: list[str] = []
    runs = on_cluster(tmp_path / "there", said.append).run(wanted)
    assert {run.record.status for run in runs} == {"done"}, _of(runs)
    assert records(tmp_path / "there") == records(tmp_path / "here")
    assert not list((tmp_path / "there/.leases").iterdir())
    # Every node had to do with it, and each read every split once, for all of its runs.
    scratches = sorted(nodes.folder.glob("scratch-*/vhbench-*"))
    assert len(scratches) == 2
    own = str(os.getpid())
    reads = [line.split() for line in nodes.reads.read_text().splitlines() if line.split()[0] != own]
    assert len({process for process, *_ in reads}) == 1
    assert Counter(tuple(read) for _, *read in reads) == {(name, "0", str(size)): 2 for name, size in SIZES.items()}
    assert not [path for scratch in scratches for path in scratch.glob("run-*")]


def test_what_is_lost_is_begun_again(
    nodes: Nodes, tmp_path: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node is killed in a training; beside it one method kills its worker again and again, another one crashes."""
    from bench.cluster import executor

    assert executor.ATTEMPTS == 3
    # Every attempt starts processes that import PyTorch: two show as much, in less time.
    monkeypatch.setattr(executor, "ATTEMPTS", 2)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    wanted = planned("watched,kills-worker,segfault,plain", epochs=EPOCHS, hooks=str(hooks))
    results, said = tmp_path / "there", list[str]()
    states = Store(results).training_folder(wanted[0].spec)

    def kill() -> None:
        process = psutil.Process(int(_until(hooks / "waiting").read_text()))
        # It waits in the third epoch: the state of the second comes here first.
        _until(states, lambda: any(b'\\"epoch\\": 2' in path.read_bytes() for path in states.glob("*/*.safetensors")))
        (raylet,) = [parent.pid for parent in process.parents() if parent.name() == "raylet"]
        (lost,) = [node for node in nodes.cluster.worker_nodes if _raylet(node) == raylet]
        nodes.cluster.remove_node(lost, allow_graceful=False)
        process.wait()
        (hooks / "go").touch()

    with _beside(kill):
        runs = on_cluster(results, said.append).run(wanted)
    watched, lost, crashed, plain = (run.record for run in runs)
    assert watched.status == plain.status == "done", _of(runs)
    assert sum("was lost" in line and "watched" in line for line in said) == 1, said
    assert any("goes on after epoch 2" in line for line in said), said
    assert (hooks / "epochs").read_text().split() == ["0", "1", "2", "2", "3", "4"]
    assert lost.status == crashed.status == "failed"
    assert str(lost.reason).endswith("so ended all 2 attempts"), lost.reason
    assert sum("begun again" in line and "kills-worker" in line for line in said) == 1, said
    assert crashed.reason == "segmentation fault (signal 11)"
    for run in runs[1:3]:
        text = run.verified("traceback.txt").read_text(encoding="utf-8")
        assert f"--results {results} --existing retry-failed" in text
    here(tmp_path / "here").run([run for run in wanted if run.spec.method in {"watched", "plain"}])
    undisturbed = records(tmp_path / "here")
    assert {name: values for name, values in records(results).items() if name in undisturbed} == undisturbed
    survived("nodes killed during a training")
    survived("worker processes killed by their run", 2)
    survived("methods that crash on a node")


def test_stopped_once_goes_on_here(nodes: Nodes, tmp_path: Path, one_thread: None) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    wanted = planned("watched", epochs=EPOCHS, hooks=str(hooks))

    def ask() -> None:
        _until(hooks / "waiting")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with _beside(ask), pytest.raises(Stopped, match="stopped after epoch 3 of 5"):
        on_cluster(tmp_path / "stopped").run(wanted)
    assert not list(Store(tmp_path / "stopped").runs())
    here(tmp_path / "stopped").run(wanted)
    assert (hooks / "epochs").read_text().split() == ["0", "1", "2", "3", "4"]
    (hooks / "go").touch()
    here(tmp_path / "whole").run(wanted)
    assert records(tmp_path / "stopped") == records(tmp_path / "whole")
    survived("requests to stop that reach nodes")


def test_nodes_with_other_software_are_refused(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.cluster.executor.versions", lambda: {"vhbench": "0.0.7"})
    with pytest.raises(InputError, match=r"^node .*: vhbench is 0\.1\.0 here, and 0\.0\.7 where the sweep was started"):
        on_cluster(tmp_path).run(planned("plain"))


def test_what_no_node_has_is_said_at_once(nodes: Nodes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"plain/8-.* asks for 64 CPUs, .*which no node of the cluster has"):
        on_cluster(tmp_path, threads=64).run(planned("plain"))


def test_a_run_waits_for_a_node_that_the_cluster_can_start(nodes: Nodes, tmp_path: Path) -> None:
    """The cluster says that it grows, as an autoscaler makes it say; the test is the one that starts the node."""
    from ray.core.generated.autoscaler_pb2 import ClusterConfig, NodeGroupConfig
    from ray.experimental import internal_kv

    raylet: Any = import_module("ray._raylet")
    key, namespace = raylet.GCS_AUTOSCALER_CLUSTER_CONFIG_KEY, raylet.GCS_AUTOSCALER_STATE_NAMESPACE
    small, large = (NodeGroupConfig(name=str(cpus), resources={"CPU": cpus}, max_count=1) for cpus in (1, 2))
    config = ClusterConfig(node_group_configs=[small, large]).SerializeToString()
    leases, runs = tmp_path / ".leases", list[StoredRun]()

    internal_kv._internal_kv_put(key.encode(), config, namespace=namespace.encode())
    try:
        with pytest.raises(InputError, match=r"asks for 3 CPUs, .*which no node of the cluster has"):
            on_cluster(tmp_path, threads=3).run(planned("plain"))
        # Nodes can be started in the main thread only.
        with _beside(lambda: runs.extend(on_cluster(tmp_path, threads=2).run(planned("plain")))):
            _until(leases, lambda: any(leases.glob("[!.]*")))
            nodes.add(cpus=2)
    finally:
        internal_kv._internal_kv_del(key.encode(), namespace=namespace.encode())
    assert [run.record.status for run in runs] == ["done"], _of(runs)
    assert runs[0].record.environment["threads"] == 2


def _of(runs: Sequence[StoredRun]) -> str:
    return "\n".join(f"{run.record.spec.folder}: {run.record.status} {run.record.reason}" for run in runs)


def _raylet(node: object) -> int:
    processes = node.all_processes["raylet"]  # type: ignore[attr-defined]
    return int(processes[0].process.pid)


def _until(path: Path, true: Callable[[], bool] | None = None) -> Path:
    """The path, once it is there or `true()`; the tests' own time limit is that of whoever runs them."""
    while not (true() if true else path.exists()):
        time.sleep(0.02)
    return path


class _beside:  # noqa: N801  reads as a word
    """Does something in a thread while the context is open."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self._thread.join()
