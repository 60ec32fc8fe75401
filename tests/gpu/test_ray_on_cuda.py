"""Deep methods get the GPU that Ray counts, shallow ones none; codes are those of this process."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from bench.registry import load_registry
from bench.running.isolation import Isolation
from bench.running.plan import PlannedRun, plan
from bench.running.ray.on_ray import OnRay
from bench.running.runner import Runner
from bench.store.store import Store
from tests.gpu.conftest import CUDA
from tests.gpu.test_training_on_cuda import QUICK


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason='needs Ray: pip install "vhbench[ray]"')
def test_a_cluster_with_a_gpu_gives_the_same(
    feature_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(runs: Sequence[PlannedRun], *rest: object) -> list[Exception]:
        return [RuntimeError("not here") for _ in runs]

    monkeypatch.setattr("bench.running.runner.measure_runs", measure)
    wanted = plan(
        load_registry(),
        methods=["mcmsh", "bth", "itq"],
        datasets=[str(feature_folder)],
        bits=[8],
        seeds=[0],
        parameters=dict.fromkeys(("mcmsh", "bth"), QUICK),
    )
    here = Runner(Store(tmp_path / "here"), CUDA).run(wanted)
    there = Runner(Store(tmp_path / "there"), CUDA, isolation=OnRay(Isolation(threads=1))).run(wanted)
    for one, other in zip(here, there, strict=True):
        assert other.record.status == "done", other.record.reason
        deep = other.record.spec.method != "itq"
        assert other.record.environment["device"] == (torch.cuda.get_device_name(CUDA) if deep else "cpu")
        assert one.record.checksums["codes.npz"] == other.record.checksums["codes.npz"]
