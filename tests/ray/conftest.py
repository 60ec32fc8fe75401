"""A real Ray cluster of this machine: a head that does no runs, and nodes with one CPU each."""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.registry import load_registry
from bench.running.isolation import Isolation
from bench.running.plan import PlannedRun, plan
from bench.running.ray.on_ray import ENVIRONMENT, OnRay
from bench.running.runner import Runner
from bench.store.store import Store

PLUGIN = Path(__file__).with_name("plugin.py")
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Ray's own handle of the cluster, to which this process is connected."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip('Ray is not installed: pip install "vhbench[ray]"')
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        import ray
        from ray.cluster_utils import Cluster

        fast = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
        unwatched = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
        head = NODE | {"num_cpus": 0, "_system_config": fast} | unwatched
        cluster = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(2):
            cluster.add_node(**NODE, wait=False)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        cluster.wait_for_nodes()
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(autouse=True)
def _unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs are measured on this machine in any case, and take their time."""

    def measure(runs: Sequence[PlannedRun], *rest: object) -> list[Exception]:
        return [RuntimeError("not here") for _ in runs]

    monkeypatch.setattr("bench.running.runner.measure_runs", measure)


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def planned(methods: str, **parameters: Any) -> list[PlannedRun]:
    """Runs of methods of the plug-in, and of others."""
    names = methods.split(",")
    return plan(
        load_registry([PLUGIN]),
        methods=names,
        datasets=["small"],
        bits=[8],
        seeds=[0],
        parameters={"watched": parameters} if parameters else {},
    )


def here(results: Path) -> Runner:
    """Runs in this process."""
    return Runner(Store(results, lambda line: None), torch.device("cpu"))


def on_cluster(results: Path, say: Callable[[str], None] = lambda line: None, **more: Any) -> Runner:
    """Runs on the cluster that this process is connected to."""
    rules = Isolation((PLUGIN,), **more)
    return Runner(Store(results, say), torch.device("cpu"), say=say, isolation=OnRay(rules))
