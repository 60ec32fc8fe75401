"""A tiny dataset under several names, and stores filled with synthetic records of the runs that artefacts plan."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.cli.reproduction import SEEDS, Reproduction, prepare
from bench.data.dataset import Dataset, DatasetSource, Recommended, Summary
from bench.metrics import PROTOCOLS, Scores
from bench.profile.cost_types import Costs, EncodingTimes, Rates, Timing
from bench.registry import DATASETS, METHODS, Registry, load_registry
from bench.report.recipe import RECIPES
from bench.running.plan import PlannedRun
from bench.running.runner import Runner
from bench.store.record import RunRecord
from bench.store.store import Store
from bench.store.stored_run import PER_QUERY, StoredRun
from tests.stored_files import write_files

KS = (5, 20, 40, 60, 80, 100)
QUERIES = 50
QUICK = {"epochs": 1, "hidden": 32, "anchors": 4, "batch_size": 20}
BTH_ENCODER = {"dkph": {**QUICK, "reconstruction_epochs": 1}, "bervae": {"epochs": 1, "hidden": 32, "batch_size": 20}}
"""Settings for the methods with BTH's encoder."""
_SMALL = {"epochs": 1, "hidden": 16, "decoder_hidden": 8, "batch_size": 20}
MASKED = {
    "conmh": {**_SMALL, "depth": 1, "decoder_depth": 1},
    "autossvh": {**_SMALL, "depth": 1, "decoder_depth": 1},
    "s5vh": {**_SMALL, "layers": 1},
    "ssth": {"epochs": 1, "batch_size": 40},
    "ssvh": {"epochs": 1, "batch_size": 40},
    "wsch": {**_SMALL, "hidden": 64},
}
"""Settings for masked auto-encoders and recurrent networks."""
TRAINED = ("mcmsh", "bth", "mlp-mixer", "mixer-lrd", "mixer-mrd", "mixer-srd")
RECOMMENDED: Recommended = {**dict.fromkeys(TRAINED, QUICK), **BTH_ENCODER, **MASKED}

Level = Callable[[PlannedRun, int], float]
"""The mAP of a planned run at k."""


def source_of(data: Dataset, name: str, self_search: bool = False) -> type[DatasetSource]:
    """A plug-in that gives `data` under another name, with parameters that make training quick."""
    summary = data.summary.model_copy(update={"name": name, "title": name.upper(), "self_search": self_search})
    gallery = data.query if self_search else data.gallery

    class Source(DatasetSource):
        recommended = RECOMMENDED

        def summary(self) -> Summary:
            return summary

        def load(self) -> Dataset:
            return replace(data, summary=summary, gallery=gallery, recommended=self.recommended)

    Source.name, Source.title = name, summary.title
    return Source


@pytest.fixture(scope="session")
def registry(tiny: Dataset) -> Registry:
    """Everything built in; `toy`, `toy-frames` (with frames) and `fcvid` (searched by itself) as datasets."""

    def frames(videos: Any) -> Any:
        shade = np.asarray(videos, dtype=np.uint8)[:, None, None, None] * 5
        picture = np.tile(np.arange(8, dtype=np.uint8) * 10, (len(shade), 25, 8, 1))
        return picture + shade

    shown = replace(tiny, query=replace(tiny.query, frames=frames), gallery=replace(tiny.gallery, frames=frames))
    found = load_registry(kinds=(METHODS, DATASETS, RECIPES))
    found.datasets.pop("fcvid", None)  # the adapter that needs the real files
    found.add("tests", [source_of(tiny, "toy"), source_of(shown, "toy-frames"), source_of(tiny, "fcvid", True)])
    assert not found.broken
    return found


def timing(batch: int, milliseconds: float) -> Timing:
    return Timing(
        batch=batch,
        repeats=9,
        median_ms=milliseconds,
        lower_ms=milliseconds * 0.9,
        upper_ms=milliseconds * 1.1,
        low_ms=milliseconds * 0.98,
        high_ms=milliseconds * 1.02,
        noisy=False,
    )


def costs_of(method: str, bits: int, folder: str) -> Costs:
    """What specifications and the paper say of BTH's and MCMSH's counts, with made-up times on two settings."""
    bth = method == "bth"
    single, batched = (2.0, 0.10) if bth else (1.5, 0.099)
    return Costs(
        parameters_instantiated=3_170_624 if bth else 1_761_397,
        parameters_trained=2_121_280 if bth else 1_761_397,
        parameters_encode=1_855_040 if bth else 1_761_397,
        flops=46_604_800 if bth else 46_051_156,
        flops_by_module={"project": 26_214_400},
        uncounted_operators={"softmax": 1},
        other_operations={"softmax": 3125},
        encoder_bytes=7_000_000,
        code_bytes=bits // 8,
        peak_bytes={1: 8_000_000, 64: 60_000_000},
        encoding=[
            EncodingTimes(
                device="cpu",
                threads=threads,
                rates=Rates(float32=2e10 * threads, bfloat16=1e10 * threads, copy_bytes=1e10),
                sweep=[timing(1, single * 2 / threads), timing(256, batched * 2 / threads)],
            )
            for threads in (1, 2)
        ],
        processor="Synthetic CPU 3000",
        measured_on=folder,
        measured_at="2026-01-01T00:00:00+00:00",
    )


def reproduce(
    names: Sequence[str], dataset: str, *, runner: Runner, registry: Registry, report_folder: Path,
    seeds: Sequence[int] = SEEDS,
) -> Reproduction:  # fmt: skip
    """A paper's artefacts on one dataset."""
    (prepared,) = prepare(names, [dataset], registry=registry, report_folder=report_folder, seeds=seeds)
    return prepared.make(runner)


def fill(store: Store, planned: Iterable[PlannedRun], level: Level, failing: Iterable[str] = ()) -> list[StoredRun]:
    """Store a synthetic record of every planned run; those of the methods in `failing` failed.

    The order of ties moves the scores of codes of 32 bits by 0.02 to either side, and no others.
    """
    stored = []
    for run in planned:
        done = run.spec.method not in failing
        summary = run.summary.model_copy(update={"query_videos": QUERIES})
        noise = np.random.default_rng(0).uniform(-0.05, 0.05, QUERIES)
        means = {k: level(run, k) for k in KS}
        arrays = {f"paper@{k}": mean + noise - noise.mean() for k, mean in means.items()}
        by_k = means
        ties = 0.02 if run.spec.bits == 32 else 0.0
        metrics: dict[str, Any] = {
            "protocol": PROTOCOLS["paper"],
            "bits": run.spec.bits,
            "ks": tuple(KS),
            "queries": QUERIES,
            "gallery": summary.gallery_videos,
            "map": by_k,
            "map_best": {k: mean + ties for k, mean in by_k.items()},
            "map_worst": {k: mean - ties for k, mean in by_k.items()},
            "tie_spread": dict.fromkeys(KS, 2 * ties),
            "precision": by_k,
            "recall": by_k,
            "ndcg": by_k,
            "map_full": 0.3,
            "precision_recall": {
                "recall": np.linspace(0, 1, run.spec.bits + 1).tolist(),
                "precision": [0.3] * (run.spec.bits + 1),
            },
            "precision_radius2": 0.3,
            "queries_without_relevant": 0,
        }
        record = RunRecord(
            spec=run.spec,
            status="done" if done else "failed",
            reason=None if done else "RuntimeError: out | of memory",
            method_title=run.method.title,
            paper=run.method.paper,
            uses_labels=False,
            dataset=summary,
            started="2026-01-01T00:00:00+00:00",
            durations={"fit": 1.0},
            history=[{"epoch": epoch, "loss": 1.0} for epoch in range(run.spec.parameters.get("epochs", 0))],
            metrics={"paper": Scores.model_validate(metrics)} if done else {},
            costs=costs_of(run.spec.method, run.spec.bits, run.spec.folder) if done else None,
            environment={"cpu": "Synthetic CPU 3000", "device": "cpu", "threads": 2},
        )
        stored.append(store.write(record, partial(_fill, arrays, record)))
    return stored


def _fill(arrays: dict[str, Any], record: RunRecord, folder: Path) -> None:
    np.savez(folder / PER_QUERY, **arrays)
    write_files(folder, record)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner that trains nothing: what is not stored is left out."""
    return Runner(Store(tmp_path / "results"), torch.device("cpu"), "only-cached")
