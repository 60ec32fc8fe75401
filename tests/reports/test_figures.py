"""The figures, from real runs on a tiny dataset."""

import shutil
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from bench.reports.mcmsh import McmshPaper
from bench.reports.mcmsh.embedding import choose_videos, project
from bench.reports.mcmsh.retrieval import choose_queries, retrieval_plot, retrieve
from bench.reports.mcmsh.rows import RETRIEVAL

from bench.cli.reproduction import Reproduction, plan_need
from bench.data.dataset import Dataset
from bench.registry import METHODS, Registry
from bench.report.figures import settings
from bench.report.recipe import Results
from bench.running.runner import Runner
from bench.store.codes_file import StoredCodes, read_codes
from bench.store.registered import LABELS
from bench.store.store import Store
from bench.store.stored_run import CODES

from .conftest import fill, reproduce

DATASET = "toy-frames"


@pytest.fixture(scope="module")
def registry(registry: Registry) -> Registry:
    """Few methods: more of them would take longer and show no more."""
    few = {name: method for name, method in registry.methods.items() if name in {"mcmsh", "bth", "mlp-mixer", "itq"}}
    return replace(registry, plugins=registry.plugins | {METHODS: few})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Store:
    """Synthetic records for the code lengths that only the panels show."""
    store = Store(tmp_path_factory.mktemp("figures") / "results")
    panels = plan_need(McmshPaper().needs("figures", registry)[0], [DATASET], registry, (0,))
    short = [run for (_, bits), group in panels.runs.items() for run in group if bits != 64]
    fill(store, short, lambda run, k: 0.3 - k / 1000)
    return store


@pytest.fixture(scope="module")
def made(store: Store, registry: Registry) -> Reproduction:
    runner = Runner(store, torch.device("cpu"))
    found = reproduce(["figures"], DATASET, runner=runner, registry=registry, report_folder=store.root.parent / "paper")
    # The synthetic records count other queries than the dataset that the runs done here have noted.
    shutil.rmtree(store.root / LABELS)
    return found


@pytest.fixture
def _settings() -> Iterator[None]:
    with settings():
        yield


def test_document(made: Reproduction) -> None:
    text = made.path.read_text(encoding="utf-8")
    assert {run.record.reason for run in made.runs} == {None}
    for heading in ("## mAP@k panels", "### Published on FCVID", "## Feature distributions", "## Retrieved results"):
        assert heading in text
    assert "nine panels are of three datasets" in text
    figures = {path.name for path in (made.path.parent / "figures").iterdir()}
    assert figures == {
        f"{name}.{end}" for name in ("panels", "embedding", "retrieval") for end in ("csv", "pdf", "png", "svg")
    }


def test_panels_hold_measured_numbers_only(made: Reproduction) -> None:
    frame = pd.read_csv(made.path.parent / "figures" / "panels.csv")
    assert set(frame["method"]) == {
        run.record.method_title for run in made.runs if run.record.spec.method != "mlp-mixer"
    }
    published = pd.read_csv(made.path.parent / "tables" / "published-fcvid-64-bits.csv")
    assert {"source", "source_kind"} <= set(published.columns)
    assert len(published[(published["method"] == "BTH") & (published["k"] == 20)]) == 2


def test_same_results_give_the_same_bytes(made: Reproduction, store: Store, registry: Registry) -> None:
    runner = Runner(store, torch.device("cpu"), "only-cached")
    again = reproduce(["figures"], DATASET, runner=runner, registry=registry, report_folder=store.root.parent / "again")
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (made.path.parent, again.path.parent)
    )
    assert first == second


def retrieval_results(made: Reproduction, registry: Registry) -> Results:
    return plan_need(RETRIEVAL, [DATASET], registry, (0,)).collect(made.runs)


@pytest.mark.usefixtures("_settings")
def test_retrieved_results_with_frames_and_without(made: Reproduction, registry: Registry) -> None:
    results, data = retrieval_results(made, registry), registry.dataset(DATASET).load()
    with_frames = retrieval_plot(results, data)
    assert with_frames is not None
    tiles = sum(len(axes.images) for axes in with_frames.figure.axes)
    queries = len(choose_queries(np.asarray(data.query.labels)))
    assert tiles == queries * (1 + 2 * 8)

    bare = replace(data, query=replace(data.query, frames=None), gallery=replace(data.gallery, frames=None))
    without = retrieval_plot(results, bare)
    assert without is not None
    assert not any(axes.images for axes in without.figure.axes)
    assert "no frames" in without.caption
    texts = [text.get_text() for axes in without.figure.axes for text in axes.texts]
    hits = int(with_frames.frame["hit"].sum())
    assert (texts.count("✓"), texts.count("✗")) == (hits, queries * 16 - hits)
    assert set("abc") <= set(texts)
    for distance in set(without.frame["distance"]):
        assert texts.count(str(distance)) == (without.frame["distance"] == distance).sum()


def test_hits_are_those_of_the_codes(made: Reproduction) -> None:
    frame = pd.read_csv(made.path.parent / "figures" / "retrieval.csv")
    run = next(run for run in made.runs if (run.record.spec.method, run.record.spec.bits) == ("bth", 64))
    codes = read_codes(run.folder / CODES)
    assert isinstance(codes, StoredCodes)
    assert codes.gallery_codes is not None
    for _, row in frame[frame["method"] == "BTH"].iterrows():
        different = codes.gallery_codes[row["video"]] != codes.query_codes[row["query"]]
        assert row["distance"] == different.sum()
        assert row["hit"] == (row["query_classes"] == row["video_classes"])


def test_retrieval_orders_by_distance_and_leaves_the_query_out() -> None:
    codes = np.array([[1, 1, 1], [1, 1, -1], [1, -1, -1], [-1, -1, -1]], dtype=np.int8)
    labels = np.array([[1, 0], [0, 1], [1, 1], [1, 0]], dtype=np.uint8)
    frame = retrieve(StoredCodes(codes, labels, None, None), [0, 3])
    assert frame["video"].tolist() == [1, 2, 3, 2, 1, 0]
    assert frame["distance"].tolist() == [1, 2, 3, 1, 2, 3]
    assert frame["hit"].tolist() == [False, True, True, True, False, True]


def test_codes_that_tell_nothing_look_so_in_a_dataset_sorted_by_class() -> None:
    """Ten classes of 50 videos one after the other, all codes equal: a tenth are hits, not the whole first row."""
    labels = np.repeat(np.eye(10, dtype=np.uint8), 50, axis=0)
    gallery = np.ones((500, 16), dtype=np.int8)
    codes = StoredCodes(gallery[:10], np.eye(10, dtype=np.uint8), gallery, labels)
    frame = retrieve(codes, range(10))
    assert (frame["distance"] == 0).all()
    # 80 draws: 8 ± 2.7 hits.
    assert 1 <= frame["hit"].sum() <= 18
    assert not frame.groupby("query")["video"].apply(lambda videos: videos.is_monotonic_increasing).any()
    assert retrieve(codes, range(10)).equals(frame)
    # Another method draws the same lots: one video that it puts nearer moves to the front, the rest stay in order.
    nearer = -gallery
    nearer[123] = 1
    videos = retrieve(StoredCodes(codes.query_codes, codes.query_labels, nearer, labels), range(10))["video"].to_numpy()
    for one, other in zip(frame["video"].to_numpy().reshape(10, 8), videos.reshape(10, 8), strict=True):
        assert other.tolist() == [123, *one[one != 123][:7]]


def test_embedding_shows_the_same_videos_twice(made: Reproduction, tiny: Dataset) -> None:
    frame = pd.read_csv(made.path.parent / "figures" / "embedding.csv")
    without, with_modules = (frame[frame["backbone"] == name] for name in ("MLP-Mixer", "MC-MLP"))
    assert without["query"].tolist() == with_modules["query"].tolist()
    assert without["class"].tolist() == with_modules["class"].tolist()
    assert set(without["query"]) == set(range(len(tiny.query.features)))
    assert not np.allclose(without[["x", "y"]], with_modules[["x", "y"]])


def test_videos_of_one_class_only() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]], dtype=np.uint8)
    chosen = choose_videos(labels)
    assert chosen.videos.tolist() == [0, 2, 3]
    assert chosen.classes.tolist() == [0, 1, 1]
    assert choose_queries(labels) == [0, 1]


def test_projection_is_deterministic() -> None:
    features = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    assert np.array_equal(project(features), project(features))
