"""Measuring as its own phase: which runs it takes, what they share, and what happens when it does not end."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

from bench.data.features import ArrayFeatures
from bench.profile import encoding
from bench.profile.timing import NEAREST, QUERIES, HostStopwatch, search, time_loading, time_search
from bench.registry import Registry, load_registry
from bench.report.write import write_report
from bench.running.plan import Existing, PlannedRun, plan
from bench.running.runner import Runner
from bench.store.store import Store

PLUGIN = """
import torch
from torch import nn
from bench.learning.method import Method

class Net(nn.Module):
    def __init__(self, size, bits, broken):
        super().__init__()
        self.project = nn.Linear(size, bits)
        self.broken = broken

    def forward(self, videos):
        if self.broken and torch.jit.is_tracing():
            raise RuntimeError("cannot be traced")
        return self.project(videos.mean(dim=1))

class Sound(Method):
    name, title, broken = "sound", "Sound", False

    def build(self, frames, dimensions):
        return Net(dimensions, self.bits, self.broken)

    def fit(self, features, context):
        context.seed_torch("weights")
        return self.build(*features.shape[1:])

class Untraceable(Sound):
    name, title, broken = "untraceable", "Untraceable", True
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "BATCHES", (1, 8))
    monkeypatch.setattr("bench.profile.costs.time_encoders", partial(encoding.time_encoders, seconds=0.01))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    return load_registry([tmp_path / "plugin.py"])


def planned(registry: Registry, folder: Path, methods: str, seeds: Sequence[int] = (0,)) -> list[PlannedRun]:
    return plan(registry, methods=methods.split(","), datasets=[str(folder)], bits=[8], seeds=seeds, parameters={})


def runner(root: Path, existing: Existing = "reuse", **options: Any) -> Runner:
    return Runner(Store(root), torch.device("cpu"), existing, **options)


def interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def test_runs_are_measured_after_the_last_one_and_seeds_share_the_figures(
    registry: Registry, feature_folder: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    runs = runner(tmp_path / "runs", say=lines.append).run(
        planned(registry, feature_folder, "sound,lsh,oracle", (0, 1))
    )
    assert lines[-1] == "measuring the cost of encoding: 2 kinds of encoder, in turn"
    found = {(run.record.spec.method, run.record.spec.seed): run.record.costs for run in runs}
    assert found["oracle", 0] is found["oracle", 1] is None
    for method in ("sound", "lsh"):
        first, second = found[method, 0], found[method, 1]
        assert first is not None
        assert second == first
        assert first.measured_on == next(run.record.spec.folder for run in runs if run.record.spec.method == method)
        assert first.loading is not None
        assert first.search is not None
        assert first.search.gallery == 40
        assert first.code_bytes == 1
    assert found["sound", 0].flops == 32 * 8  # type: ignore[union-attr]
    stored = {run.record.spec.identity: run.record for run in Store(tmp_path / "runs").runs()}
    assert stored == {run.record.spec.identity: run.record for run in runs}


def test_what_an_interruption_left_unmeasured_is_measured_next_time(
    registry: Registry, feature_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = planned(registry, feature_folder, "sound")
    with monkeypatch.context() as patch:
        patch.setattr("bench.running.runner.measure_runs", interrupt)
        with pytest.raises(KeyboardInterrupt):
            runner(tmp_path / "runs").run(wanted)
    (stored,) = Store(tmp_path / "runs").runs()
    assert (stored.record.status, stored.record.costs) == ("done", None)
    assert stored.record.metrics
    (cached,) = runner(tmp_path / "runs", "only-cached").run(wanted)
    assert cached.record.costs is None
    text = write_report([cached], tmp_path / "report").read_text(encoding="utf-8")
    assert "not measured" in text.split("### Cost")[1].split("### Training")[0]
    with monkeypatch.context() as patch:
        patch.setattr("bench.running.one_run.fit_method", interrupt)  # nothing is trained again
        (measured,) = runner(tmp_path / "runs").run(wanted)
    assert measured.record.costs is not None
    assert measured.record.model_copy(update={"costs": None}) == stored.record
    before = (measured.folder / "record.json").read_bytes()
    monkeypatch.setattr("bench.running.one_run.fit_method", interrupt)
    with monkeypatch.context() as patch:
        patch.setattr("bench.running.runner.measure_runs", lambda runs, *_: interrupt() if runs else [])
        runner(tmp_path / "runs").run(wanted)
    assert (measured.folder / "record.json").read_bytes() == before
    slower = measured.record.costs.model_copy(update={"processor": "Another CPU"})
    monkeypatch.setattr("bench.running.runner.measure_runs", lambda runs, *_: [slower for _ in runs])
    (again,) = runner(tmp_path / "runs", "remeasure").run(wanted)
    assert again.record == measured.record.model_copy(update={"costs": slower})
    assert list(Store(tmp_path / "runs").runs()) == [again]


def test_an_encoder_that_cannot_be_measured_keeps_its_quality(
    registry: Registry, feature_folder: Path, tmp_path: Path
) -> None:
    wanted = planned(registry, feature_folder, "untraceable,sound")
    broken, sound = runner(tmp_path / "runs").run(wanted)
    assert sound.record.costs is not None
    assert (broken.record.status, broken.record.costs) == ("done", None)
    assert broken.record.metrics
    reason = str(broken.record.reason)
    assert reason.startswith("costs could not be measured: RuntimeError: cannot be traced")
    text = write_report([broken, sound], tmp_path / "report").read_text(encoding="utf-8")
    assert "costs could not be measured" in text.split("### Cost")[1].split("### Training")[0]
    lines: list[str] = []
    runner(tmp_path / "runs", say=lines.append).run(wanted)
    assert not any("measuring" in line for line in lines)
    runner(tmp_path / "runs", "retry-failed", say=lines.append).run(wanted)
    assert "measuring the cost of encoding: 1 kind of encoder, in turn" in lines


def test_records_hold_all_figures(registry: Registry, feature_folder: Path, tmp_path: Path) -> None:
    (run,) = runner(tmp_path / "runs").run(planned(registry, feature_folder, "sound"))
    costs = json.loads((run.folder / "record.json").read_text())["costs"]
    assert (costs["flops"], costs["flops_by_module"]) == (256, {"project": 256})
    assert (costs["uncounted_operators"], costs["other_operations"]) == ({"mean": 1}, {"mean": 25 * 32})
    assert (costs["parameters_instantiated"], costs["parameters_trained"], costs["parameters_encode"]) == (264,) * 3
    assert list(costs["peak_bytes"]) == ["1", "64"]
    places = costs["encoding"]
    assert [place["threads"] for place in places] == sorted({1, torch.get_num_threads()})
    assert all(place["rates"]["float32"] > 0 and place["rates"]["copy_bytes"] > 0 for place in places)
    assert set(places[-1]["modules"]) == {"project", "rest"}
    for timing in places[0]["sweep"]:
        assert timing["low_ms"] <= timing["median_ms"] <= timing["high_ms"]
        assert timing["lower_ms"] <= timing["median_ms"] <= timing["upper_ms"]
    environment: dict[str, Any] = run.record.environment
    assert {"cpu", "cores", "threads", "frequency_governor", "blas", "driver", "cuda", "libraries"} <= set(environment)


@pytest.mark.parametrize(("bits", "gallery"), [(13, 300), (64, 50)])
def test_search_finds_the_nearest_codes(bits: int, gallery: int) -> None:
    found: Any = search(bits, gallery)()
    distances, places = found
    random = np.random.default_rng(0)
    codes = random.integers(0, 2, (gallery, bits), dtype=np.uint8)
    queries = random.integers(0, 2, (QUERIES, bits), dtype=np.uint8)
    truth = (queries[:, None] != codes[None]).sum(axis=2)
    assert distances.tolist() == np.sort(truth, axis=1)[:, :NEAREST].tolist()
    assert np.take_along_axis(truth, places, axis=1).tolist() == distances.tolist()


def test_search_and_reading_are_times_a_query_and_a_video() -> None:
    clock = iter(np.arange(0, 1e6, 0.064))  # every reading of the clock 64 ms after the last
    watch = HostStopwatch(lambda: float(next(clock)))
    found = time_search(8, 20, 2, watch)
    assert (found.gallery, found.nearest, found.threads) == (20, 20, 2)
    assert found.timing.median_ms == pytest.approx(1.0)
    features = ArrayFeatures(np.zeros((32, 2, 3), dtype=np.float32))
    assert time_loading(features, watch).median_ms == pytest.approx(2.0)
    assert time_loading(features, watch).batch == 32
