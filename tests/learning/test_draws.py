"""What a training batch holds: which videos are drawn, how their frames are corrupted, and that it changes in time.

Features say which frame they are, so that everything can be read off the loaded batches.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.bth import NeighbourObjective
from bench.methods.mcmsh import McmshObjective
from numpy.typing import NDArray
from scipy.stats import binom

import bench
from bench.data.dataset import Dataset
from bench.data.features import ArrayFeatures, mean_pool
from bench.learning.context import FitContext
from bench.learning.items import Batch, Draw
from bench.learning.loader import VideoLoader
from bench.learning.schedule import Schedule
from bench.learning.structure.anchor_graph import anchor_graph, draw_pairs, principal_components
from bench.learning.structure.kmeans import kmeans
from tests.conftest import GOLDEN
from tests.learning.stages import stages_of

QUICK: dict[str, Any] = {"epochs": 2, "batch_size": 16, "anchors": 6, "hidden": 32}
METHODS = ("mcmsh", "bth")
CORRUPTED = ("first", "second")
VIDEOS, FRAMES = 40, 25


def numbered(videos: int, frames: int) -> ArrayFeatures:
    """Frame t of video v is v · T + t + 1 in its first feature; the others are random."""
    features = np.random.default_rng(5).normal(size=(videos, frames, 8)).astype(np.float32)
    features[..., 0] = np.arange(videos * frames).reshape(videos, frames) + 1
    return ArrayFeatures(features)


@contextmanager
def recorded() -> Iterator[list[tuple[Draw, Batch]]]:
    """What the loader is asked for and hands over, in order."""
    seen: list[tuple[Draw, Batch]] = []
    load = VideoLoader.load

    def spy(self: VideoLoader, draw: Draw) -> Batch:
        batch = load(self, draw)
        seen.append((draw, batch))
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VideoLoader, "load", spy)
        yield seen


def draws_of(method: str, data: Dataset, seed: int = 0, **more: Any) -> list[Draw]:
    """The draws of a training, one stage of BTH after the other."""
    with recorded() as seen:
        bench.fit(method, data, bits=8, seed=seed, device="cpu", **QUICK | more)
    return [draw for draw, _ in seen]


def equal(first: Draw, second: Draw) -> bool:
    """Whether two draws hold the same videos, values and corruption."""
    return (
        all(np.array_equal(rows, second.videos[name]) for name, rows in first.videos.items())
        and all(np.array_equal(rows, second.values[name]) for name, rows in first.values.items())
        and all(np.array_equal(plan.kept, second.corruption[name].kept) for name, plan in first.corruption.items())
        and all(
            np.array_equal(plan.source_video, second.corruption[name].source_video)
            for name, plan in first.corruption.items()
        )
    )


@pytest.mark.parametrize("method", METHODS)
def test_draws_depend_on_the_seed_and_on_nothing_else(method: str, tiny: Dataset) -> None:
    once, again, other = (draws_of(method, tiny, seed) for seed in (0, 0, 1))
    assert all(equal(first, second) for first, second in zip(once, again, strict=True))
    assert not any(equal(first, second) for first, second in zip(once, other, strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_every_epoch_and_batch_draws_anew(method: str, tiny: Dataset) -> None:
    draws = draws_of(method, tiny, batch_size=20)
    # Two batches an epoch, two epochs a stage.
    assert len(draws) == (4 if method == "mcmsh" else 8)
    epochs = [draws[start : start + 2] for start in range(0, len(draws), 2)]
    orders = [np.concatenate([draw.videos["first"] for draw in epoch]) for epoch in epochs]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(VIDEOS))
    masks = [plan.kept for draw in draws for plan in draw.corruption.values()]
    for number, mask in enumerate(masks):
        assert not any(np.array_equal(mask, other) for other in masks[number + 1 :])
    for before, after in zip(range(len(epochs)), range(1, len(epochs)), strict=False):
        assert (orders[before] == orders[after]).mean() < 0.5
    # The videos that go with a video are others in the next epoch, but for chance.
    for name in set(draws[-1].videos) - {"first"}:
        first, second = (by_video(epoch, name) for epoch in epochs[-2:])
        assert (first == second).mean() < 0.6, name


def by_video(epoch: list[Draw], name: str) -> NDArray[np.int64]:
    """What was drawn for the videos 0, 1, 2…"""
    drawn = np.full(VIDEOS, -1)
    for draw in epoch:
        drawn[draw.videos["first"]] = draw.videos[name]
    return drawn


@pytest.mark.parametrize("method", METHODS)
def test_no_step_sees_a_held_out_video(method: str, tiny: Dataset) -> None:
    share, batches = 0.25, 2
    draws = draws_of(method, tiny, validation_share=share)
    # An epoch is two batches of the 30 videos to train on, then one of the 10 held out.
    stages = 1 if method == "mcmsh" else 2
    assert len(draws) == stages * 2 * (batches + 1)
    trained = [draw for number, draw in enumerate(draws) if number % 3 < batches]
    held_out = [draw for number, draw in enumerate(draws) if number % 3 == batches]
    kept_back = set(held_out[0].videos["first"].tolist())
    assert len(kept_back) == share * VIDEOS
    seen = [set(seen_videos(draw)) for draw in trained]
    assert set.union(*seen) == set(range(VIDEOS)) - kept_back
    assert all(set(seen_videos(draw)) <= kept_back for draw in held_out)
    # The same draws at every epoch, so that losses compare.
    per_stage = [held_out[start : start + 2] for start in range(0, len(held_out), 2)]
    assert all(equal(first, second) for first, second in per_stage)


def seen_videos(draw: Draw) -> Iterator[int]:
    """All videos that a batch holds frames of."""
    for rows in draw.videos.values():
        yield from rows.tolist()
    for plan in draw.corruption.values():
        yield from plan.source_video.tolist()


def golden_pairs() -> dict[str, NDArray[Any]]:
    with np.load(GOLDEN / "pairs.npz") as arrays:
        return dict(arrays)


def test_signs_are_those_of_the_authors_tags() -> None:
    truth = golden_pairs()
    tags, videos = truth["tags"], truth["i"].astype(np.int64)
    graph = anchor_graph(truth["features"], truth["anchors"])
    pairs = draw_pairs(graph, videos, np.arange(len(graph)), np.random.default_rng(0))
    np.testing.assert_array_equal(pairs.sign == 1, tags[videos, pairs.partner] == 1)
    np.testing.assert_array_equal(pairs.sign == -1, tags[videos, pairs.partner] == 2)
    assert (tags[videos, pairs.similar] == 1).all()
    assert (tags[videos, pairs.dissimilar1] == 2).all()
    assert (tags[videos, pairs.dissimilar2] == 2).all()


def test_pairs_are_drawn_as_often_as_the_authors_draw_them() -> None:
    truth = golden_pairs()
    tags, videos = truth["tags"], truth["i"].astype(np.int64)
    graph = anchor_graph(truth["features"], truth["anchors"])
    ours = draw_pairs(graph, videos, np.arange(len(graph)), np.random.default_rng(0))
    positive = truth["is_similar"] == 1
    for name, mine, theirs in (
        ("similar partners", ours.sign == 1, positive),
        ("itself as partner", ours.partner[ours.sign == 1] == videos[ours.sign == 1],
         truth["partner"][positive] == videos[positive]),
        ("itself as similar", ours.similar == videos, truth["similar"] == videos),
        ("q1 similar to q2", tags[ours.dissimilar1, ours.dissimilar2] == 1,
         tags[truth["dissimilar1"], truth["dissimilar2"]] == 1),
        ("q1 equal to q2", ours.dissimilar1 == ours.dissimilar2, truth["dissimilar1"] == truth["dissimilar2"]),
    ):  # fmt: skip
        error = np.sqrt(mine.var() / len(mine) + theirs.var() / len(theirs))
        assert abs(mine.mean() - theirs.mean()) < 5 * error, name


def test_bths_authors_tags_and_signs_are_the_same() -> None:
    truth = golden_pairs()
    graph = anchor_graph(truth["features"], truth["anchors"])
    with np.load(GOLDEN / "pairs_bth.npz") as arrays:
        tags = arrays["tags"]
        np.testing.assert_array_equal(arrays["is_similar"] == 1, tags[arrays["i"], arrays["partner"]] == 1)
    np.testing.assert_array_equal(np.stack([graph.tags(video) for video in range(len(graph))]), tags)


@pytest.mark.parametrize("method", METHODS)
def test_every_video_of_a_pair_comes_with_its_own_centre(method: str) -> None:
    features = numbered(VIDEOS, FRAMES)
    stage = stages_of(method, 8, FRAMES, 8, features, anchors=6, hidden=32)[-1]
    draw = stage.objective.draw(np.arange(VIDEOS), np.arange(VIDEOS), np.random.default_rng(0))
    kind = "centre" if method == "mcmsh" else "anchor"
    own, others = draw.values[f"{kind}_first"], draw.values[f"{kind}_second"]
    assert (draw.videos["second"] != np.arange(VIDEOS)).mean() > 0.5
    np.testing.assert_array_equal(others, own[draw.videos["second"]])
    assert len(np.unique(own, axis=0)) > 1
    if method == "mcmsh":
        pooled = mean_pool(features)
        centres = kmeans(pooled, 6, 0)
        nearest = ((pooled[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        np.testing.assert_array_equal(own, principal_components(centres, 32)[nearest])
    else:
        objective = stage.objective
        assert isinstance(objective, NeighbourObjective)
        np.testing.assert_array_equal(own, objective.anchors)


@pytest.mark.parametrize("method", METHODS)
def test_the_sign_of_a_batch_is_that_of_its_graph(method: str) -> None:
    truth = golden_pairs()
    graph = anchor_graph(truth["features"], truth["anchors"])
    frames, places = 5, np.arange(len(graph), dtype=np.float32)[:, None].repeat(4, axis=1)
    stage = stages_of(method, 8, frames, 8)[-1]
    parameters: Any = stage.schedule
    network: Any = stage.network
    objective = (McmshObjective if method == "mcmsh" else NeighbourObjective)(
        network, parameters, graph, places, frames
    )
    videos = np.arange(len(graph))
    draw = objective.draw(videos, videos, np.random.default_rng(3))
    tags = truth["tags"]
    np.testing.assert_array_equal(draw.values["sign"] == 1, tags[videos, draw.videos["second"]] == 1)
    assert set(np.unique(draw.values["sign"])) == {-1.0, 1.0}
    if method == "mcmsh":
        assert (tags[videos, draw.videos["similar"]] == 1).all()
        assert (tags[videos, draw.videos["dissimilar1"]] == 2).all()
        assert (tags[videos, draw.videos["dissimilar2"]] == 2).all()


@pytest.mark.parametrize("method", METHODS)
def test_shares_of_corruption(method: str) -> None:
    """Over 10⁵ frames 15 % are chosen, of these 80 % zeroed, 10 % replaced and 10 % kept; in both videos of a pair."""
    videos, repeats = 200, 10
    features = numbered(videos, FRAMES)
    objective = stages_of(method, 8, FRAMES, 8, features, anchors=10, hidden=32)[-1].objective
    loader = VideoLoader(features, Schedule.model_validate({}), FitContext(0))
    rows, among = np.arange(videos).repeat(repeats), np.arange(videos)
    draw = objective.draw(rows, among, np.random.default_rng(1))
    batch = loader.load(draw)
    assert set(batch.corrupted) == set(CORRUPTED)
    changed = {}
    total = 2 * videos * repeats * FRAMES
    zeroed, replaced, sources = 0, 0, list[int]()
    for name in CORRUPTED:
        clean, found = batch.videos[name], batch.corrupted[name]
        np.testing.assert_array_equal(clean.numpy(), features.read(draw.videos[name]))
        frame, original = found[..., 0].numpy(), clean[..., 0].numpy()
        changed[name] = frame != original
        zeroed += int((found == 0).all(dim=2).sum())
        foreign = (frame != 0) & changed[name]
        replaced += int(foreign.sum())
        sources += ((frame[foreign] - 1) // FRAMES).astype(int).tolist()
        # Whole frames of the training set, which says which frame each is.
        stored = torch.from_numpy(features[:]).flatten(0, 1)
        torch.testing.assert_close(found[torch.from_numpy(frame != 0)], stored[frame[frame != 0].astype(int) - 1],
                                   rtol=0, atol=0)  # fmt: skip
    assert total == 10**5
    for what, count, share in (("zeroed", zeroed, 0.12), ("replaced", replaced, 0.015),
                               ("changed", zeroed + replaced, 0.135)):  # fmt: skip
        low, high = binom.interval(1 - 1e-6, total, share)
        assert low <= count <= high, what
    # Each video by itself, independently of the other.
    for name in CORRUPTED:
        low, high = binom.interval(1 - 1e-6, total // 2, 0.135)
        assert low <= changed[name].sum() <= high, name
    low, high = binom.interval(1 - 1e-6, total // 2, 0.135**2)
    assert low <= (changed["first"] & changed["second"]).sum() <= high
    assert len(set(sources)) == videos


def test_the_other_videos_of_a_quadruplet_are_clean() -> None:
    features = numbered(VIDEOS, FRAMES)
    objective = stages_of("mcmsh", 8, FRAMES, 8, features, anchors=6, hidden=32)[-1].objective
    draw = objective.draw(np.arange(VIDEOS), np.arange(VIDEOS), np.random.default_rng(1))
    batch = VideoLoader(features, Schedule.model_validate({}), FitContext(0)).load(draw)
    for name in ("similar", "dissimilar1", "dissimilar2"):
        np.testing.assert_array_equal(batch.videos[name].numpy(), features.read(draw.videos[name]))
        assert name not in batch.corrupted
