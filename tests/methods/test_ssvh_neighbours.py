"""SSVH's neighbourhood and pairwise loss, against the authors' scripts and sums written out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.ssvh.neighbours import Neighbourhood, nearest_by_cosine, neighbourhood
from bench.methods.ssvh.objective import pairwise_error
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from bench.data.features import ArrayFeatures
from bench.learning.context import FitContext
from bench.learning.states import TrainingStates
from tests.learning.test_states import CutAfter, CutError
from tests.methods.masked import golden
from tests.methods.recurrent import built, similar_of


def matrix(found: Neighbourhood) -> NDArray[np.bool_]:
    videos = len(found.starts) - 1
    whole = np.zeros((videos, videos), np.bool_)
    for video in range(videos):
        members = found.members[found.starts[video] : found.starts[video + 1]]
        assert (np.diff(members) > 0).all()
        whole[video, members] = True
    return whole


def written_out(nearest: NDArray[np.int32], count: int) -> NDArray[np.bool_]:
    """The same with sets."""
    videos = len(nearest)
    lists = [set(row.tolist()) for row in nearest]
    similar = np.zeros((videos, videos), np.bool_)
    for video in range(videos):
        overlaps = {other: len(lists[video] & lists[other]) for other in range(videos)}
        lending = sorted((other for other in overlaps if overlaps[other]), key=lambda other: (-overlaps[other], other))
        for other in lending[:count]:
            similar[video, list(lists[other])] = True
    return similar | similar.T


def test_the_authors_neighbourhood() -> None:
    truth = golden("ssvh_neighbours")
    assert truth["tied_rows"].mean() > 0.5
    nearest = nearest_by_cosine(truth["features"].mean(axis=1), int(truth["k1"]) + 1)
    np.testing.assert_array_equal(nearest, truth["knn"])
    found = neighbourhood(nearest, int(truth["k2"]))
    np.testing.assert_array_equal(matrix(found), truth["similar"])
    assert found.members.dtype == found.starts.dtype == np.int32


@settings(max_examples=25, deadline=None)
@given(videos=st.integers(1, 40), own=st.integers(1, 6), count=st.integers(1, 4), seed=st.integers(0, 1000))
def test_any_size(videos: int, own: int, count: int, seed: int) -> None:
    points = np.random.default_rng(seed).integers(0, 3, (videos, 2)).astype(np.float32)
    nearest = nearest_by_cosine(points, own)
    assert (nearest == np.arange(videos)[:, None]).any(axis=1).all()
    np.testing.assert_array_equal(matrix(neighbourhood(nearest, count)), written_out(nearest, count))


def test_more_videos_than_are_counted_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    nearest = nearest_by_cosine(np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32), 5)
    monkeypatch.setattr("bench.methods.ssvh.neighbours.ROWS", 7)
    np.testing.assert_array_equal(matrix(neighbourhood(nearest, 3)), written_out(nearest, 3))


def test_copies_and_zeros_are_near_themselves() -> None:
    points = np.zeros((30, 3), np.float32)
    points[20:] = [[1, 2, 3]]
    found = matrix(neighbourhood(nearest_by_cosine(points, 4), 2))
    assert found.diagonal().all()
    assert not found[:20, 20:].any()


def test_similar_videos_of_a_batch() -> None:
    truth = golden("ssvh_neighbours")["similar"]
    videos = np.array([159, 3, 77, 4])
    found = similar_of(torch.from_numpy(truth)).similar(videos)
    parts = np.split(found.members, found.starts[1:])
    for video, members in zip(videos, parts, strict=True):
        np.testing.assert_array_equal(members, np.flatnonzero(truth[video]))
    np.testing.assert_array_equal(found.among, truth[videos][:, videos])


@pytest.mark.parametrize("dissimilar", [0.0, -1.0, 0.3])
def test_the_pairwise_loss_and_its_gradient(dissimilar: float) -> None:
    random = np.random.default_rng(0)
    drawn = random.random((30, 30)) < 0.3
    drawn |= drawn.T | np.eye(30, dtype=np.bool_)
    videos = np.array([4, 17, 2, 9])
    similar = similar_of(torch.from_numpy(drawn)).similar(videos)
    memory = torch.from_numpy(random.normal(size=(30, 6)))
    hidden = torch.from_numpy(random.normal(size=(4, 6))).requires_grad_()
    # Written out: the batch's rows of the memory are its own, and all products are made.
    rows = memory.clone()
    rows[videos] = hidden
    signs = torch.where(torch.from_numpy(drawn)[videos], 1.0, dissimilar)
    expected = (hidden @ rows.T / 6 - signs).square().sum()
    (slope,) = torch.autograd.grad(expected, hidden)
    given: dict[str, Tensor] = {name: torch.from_numpy(value) for name, value in vars(similar).items()}
    memory[videos] = 0
    found = pairwise_error(hidden, memory, given, dissimilar)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, hidden)[0], slope)


def trained(progress: CutAfter, states: TrainingStates | None) -> list[dict[str, float]]:
    """The losses of three epochs on twelve videos."""
    own: Any = built("ssvh", 4, batch_size=4, epochs=3, largest_step=0.01)
    features = ArrayFeatures(np.random.default_rng(0).random((12, 4, 6), np.float32))
    context = FitContext(0, progress=progress, states=states)
    own.fit(features, context)
    return context.history


def test_the_memory_survives_an_interruption(tmp_path: Path) -> None:
    with pytest.raises(CutError):
        trained(CutAfter(8), TrainingStates(tmp_path, seconds=0))
    # Two of three epochs are done, and the losses of the third depend on what they left.
    assert trained(CutAfter(), TrainingStates(tmp_path, seconds=0)) == trained(CutAfter(), None)
