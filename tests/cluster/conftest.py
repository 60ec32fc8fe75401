"""A real Ray cluster of this machine: a head that does no runs, and nodes with one CPU each."""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.cluster.connection import QUIET
from bench.cluster.on_ray import OnRay
from bench.registry import load_registry
from bench.runner import Runner
from bench.running.apart import Isolation
from bench.store import Store
from bench.sweep import PlannedRun, plan

PLUGIN = Path(__file__).with_name("plugin.py")
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


class Nodes:
    """The cluster, and the nodes' own folders."""

    def __init__(self, cluster: Any, folder: Path) -> None:
        self.cluster, self.folder, self.reads = cluster, folder, folder / "reads"
        self._count = 0

    def add(self, cpus: int = 1) -> Any:
        self._count += 1
        scratch = self.folder / f"scratch-{self._count}"
        scratch.mkdir()
        return self.cluster.add_node(**NODE | {"num_cpus": cpus}, env_vars={"VHBENCH_SCRATCH": str(scratch)})


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip('Ray is not installed: pip install "vhbench[ray]"')
    folder = tmp_path_factory.mktemp("nodes")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        patch.setenv("VHBENCH_TEST_READS", str(folder / "reads"))
        patch.setenv("OMP_NUM_THREADS", "1")
        import ray
        from ray.cluster_utils import Cluster

        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                **NODE,
                "num_cpus": 0,
                "include_dashboard": False,
                "_system_config": {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500},
            },
        )
        made = Nodes(cluster, folder)
        made.add()
        made.add()
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield made
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(autouse=True)
def _unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs are measured on this machine in any case, and take their time."""

    def measure(runs: Sequence[PlannedRun], *rest: object) -> list[Exception]:
        return [RuntimeError("not here") for _ in runs]

    monkeypatch.setattr("bench.runner.measure_runs", measure)


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
        datasets=["noted"],
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
