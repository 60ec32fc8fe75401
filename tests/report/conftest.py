"""Small stores of synthetic runs, built through the same models as real ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data.dataset import Summary
from bench.metrics import PROTOCOLS
from bench.profile.cost_types import Costs, EncodingTimes, Rates, SearchTime, Timing
from bench.report.compose import compose
from bench.report.document import Document
from bench.report.drawing import Drawn
from bench.report.figures import Plot, settings
from bench.report.runs import name_runs
from bench.report.write import write_report
from bench.store.record import RunRecord, RunSpec
from bench.store.registered import LABELS, KnownDataset
from bench.store.store import Store
from bench.store.stored_run import PER_QUERY, StoredRun
from tests.stored_files import said_of, write_files

KS = (5, 20, 40, 60, 80, 100)
QUERIES = 40


@pytest.fixture(autouse=True)
def _undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have empty pictures, since drawing takes seconds; but where tests look at them."""
    if request.path.stem not in {"test_drawing", "test_rendering"}:
        monkeypatch.setattr("bench.report.folder.drawn", undrawn)


def undrawn(plots: Sequence[Plot]) -> list[Drawn]:
    """In place of every picture a file of its kind."""
    return [Drawn("<svg/>", b"\x89PNG", b"%PDF-", "<svg/>")] * len(plots)


def timing(batch: int, milliseconds: float) -> Timing:
    """A timing with quartiles 5 % below and 10 % above the median, which is known to 2 %."""
    return Timing(
        batch=batch,
        repeats=9,
        median_ms=milliseconds,
        lower_ms=milliseconds * 0.95,
        upper_ms=milliseconds * 1.1,
        low_ms=milliseconds * 0.98,
        high_ms=milliseconds * 1.02,
        noisy=False,
    )


def encoding(threads: int, milliseconds: float) -> EncodingTimes:
    """Times at batch 1, 64 and 256: 20, 1.5 and 1 times `milliseconds` a video, a quarter of it in one part."""
    return EncodingTimes(
        device="cpu",
        threads=threads,
        rates=Rates(float32=2e10 * threads, bfloat16=1e10 * threads, copy_bytes=1e10),
        sweep=[timing(1, milliseconds * 20), timing(64, milliseconds * 1.5), timing(256, milliseconds)],
        modules={"project": milliseconds / 4, "rest": milliseconds * 3 / 4} if threads > 1 else {},
    )


def costs_of(method: str, bits: int, seed: int, cpu: str, milliseconds: float, uncounted: dict[str, int]) -> Costs:
    """Costs of a made-up encoder, measured for this seed alone."""
    return Costs(
        parameters_instantiated=3_000_000 + bits,
        parameters_trained=2_000_000 + bits,
        parameters_encode=1_000_000 + bits,
        flops=1_500_000 * bits,
        flops_by_module={"project": 1_000_000 * bits, "project.part": 1_000_000, "output": 500_000 * bits},
        uncounted_operators=uncounted,
        other_operations={"softmax": 5_000},
        encoder_bytes=4_000_000,
        code_bytes=-(-bits // 8),
        peak_bytes={1: 5_000_000, 64: 50_000_000},
        encoding=[encoding(1, milliseconds * 1.5), encoding(2, milliseconds)],
        search=SearchTime(gallery=1000, nearest=100, threads=2, timing=timing(64, 0.01 * bits)),
        loading=timing(256, 0.002),
        processor=cpu,
        measured_on=f"toy/{method}/{bits}-{seed}",
        measured_at="2026-01-01T00:00:00+00:00",
    )


@dataclass
class Builder:
    """Writes synthetic runs into a store. `level` is about the mAP at the smallest k; it falls from there."""

    store: Store
    queries: int = QUERIES

    def summary(self, name: str, fingerprint: str, title: str, stand_in: bool, place: str = "") -> Summary:
        return Summary(
            name=name,
            title=title,
            fingerprint=fingerprint,
            train_videos=2000,
            query_videos=self.queries,
            gallery_videos=1000,
            frames=25,
            dimensions=64,
            classes=10,
            self_search=False,
            stand_in=stand_in,
            place=place,
        )

    def scores(self, level: float, bits: int, generator: np.random.Generator) -> tuple[Any, dict[str, Any]]:
        metrics: dict[str, Any] = {}
        arrays: dict[str, Any] = {}
        for name, protocol in PROTOCOLS.items():
            noise = 0.1 * generator.standard_normal((len(KS), self.queries))
            falling = level * (1 - 0.1 * np.log(np.array(KS) / 5))[:, None]
            per_query = dict(zip(KS, np.clip(falling + noise, 0, 1), strict=True))
            arrays |= {f"{name}@{k}": values for k, values in per_query.items()}
            means = {k: float(values.mean()) for k, values in per_query.items()}
            without = min(2, self.queries - 1)
            precision = np.linspace(level, 0.1, bits + 1).tolist()
            metrics[name] = {
                "protocol": protocol,
                "bits": bits,
                "ks": KS,
                "queries": self.queries,
                "gallery": 1000,
                "map": means,
                "map_best": {k: value + 0.3 / bits for k, value in means.items()},
                "map_worst": {k: value - 0.3 / bits for k, value in means.items()},
                "tie_spread": dict.fromkeys(KS, 0.6 / bits),
                "precision": means,
                "recall": {k: value / 2 for k, value in means.items()},
                "ndcg": {k: value * 0.8 for k, value in means.items()},
                "ceiling": dict.fromkeys(KS, 0.75 if name == "paper" else 1.0),
                "map_full": level / 3,
                "precision_recall": {
                    "recall": np.linspace(0, 1 - without / self.queries, bits + 1).tolist(),
                    "precision": precision,
                },
                "precision_radius2": precision[min(2, bits)],
                "queries_without_relevant": without,
            }
        return metrics, arrays

    def add(
        self,
        method: str,
        bits: int,
        seed: int = 0,
        level: float = 0.5,
        *,
        title: str | None = None,
        dataset: str = "toy",
        dataset_title: str = "Toy videos",
        fingerprint: str = "f" * 64,
        parameters: dict[str, Any] | None = None,
        reason: str | None = None,
        bound: bool = False,
        uses_labels: bool = False,
        epochs: int = 4,
        cpu: str = "Synthetic CPU 3000",
        milliseconds: float = 0.05,
        stand_in: bool = False,
        revision: int | str = 1,
        started: str = "2026-01-01T00:00:00Z",
        place: str = "",
    ) -> StoredRun:
        """Store one run; with a `reason` it failed."""
        generator = np.random.default_rng([seed, bits, sum(map(ord, method))])
        metrics, arrays = self.scores(level, bits, generator)
        history = [{"epoch": epoch - 1, "loss": level + 2 / (epoch + seed)} for epoch in range(1, epochs + 1)]
        done = reason is None
        record = RunRecord(
            spec=RunSpec(
                method=method,
                dataset=dataset,
                bits=bits,
                seed=seed,
                parameters=parameters or {"epochs": epochs, "learning_rate": 1e-3},
                dataset_fingerprint=fingerprint,
                method_revision=revision,
            ),
            status="done" if done else "failed",
            reason=reason,
            method_title=said_of(method, title or method.upper())[0],
            paper=said_of(method, "")[1],
            bound=bound,
            uses_labels=uses_labels,
            dataset=self.summary(dataset, fingerprint, dataset_title, stand_in, place),
            started=started,
            durations={"fit": 10.0 + seed, "encode": 0.1} if done else {},
            history=history if done else [],
            metrics=metrics if done else {},
            costs=costs_of(method, bits, seed, cpu, milliseconds, {"softmax": 3, "lift_fresh": 1} if epochs else {})
            if done and not uses_labels
            else None,
            environment={"cpu": cpu, "device": "cpu", "threads": 2, "libraries": {"torch": "2.4.0"}},
        )

        def fill(folder: Path) -> None:
            np.savez(folder / PER_QUERY, **arrays)
            write_files(folder, record)

        return self.store.write(record, fill)

    def name_classes(self, names: Sequence[str]) -> None:
        """Describe the dataset of the stored runs as `bench run` does, with names of its classes."""
        run = next(self.store.runs())
        assert run.codes is not None
        noted = KnownDataset(summary=run.record.dataset, labels=run.codes.labels, class_names=tuple(names))
        path = self.store.root / LABELS / f"{run.record.spec.dataset_fingerprint}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(noted.model_dump_json())


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(Store(tmp_path / "results"))


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[StoredRun]:
    """Four methods × 3 code lengths × 2 seeds: one run failed, one method is a bound, one has an odd title."""
    builder = Builder(Store(tmp_path_factory.mktemp("store")))
    for bits in (16, 32, 64):
        for seed in (0, 1):
            gain = bits / 640 + seed / 100
            builder.add("alpha", bits, seed, 0.5 + gain, title="α_1 {50%} | $x$ & <b>", milliseconds=0.02)
            builder.add("beta", bits, seed, 0.4 + gain)
            failed = "out of memory | $2$\n\\end{tabular} <script>" if (bits, seed) == (32, 1) else None
            builder.add("gamma", bits, seed, 0.3 + gain, reason=failed)
            builder.add("oracle", bits, seed, 0.9, uses_labels=True, epochs=0)
    return list(builder.store.runs())


@pytest.fixture(scope="session")
def report(runs: list[StoredRun], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`report.md` of all `runs`, with empty pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.report.folder.drawn", undrawn)
        return write_report(runs, tmp_path_factory.mktemp("reports") / "latest")


@pytest.fixture(scope="session")
def composed(runs: list[StoredRun]) -> Document:
    """The same report before it is written."""
    with settings():
        return compose(name_runs(runs))
