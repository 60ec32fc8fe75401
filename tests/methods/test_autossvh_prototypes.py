"""AutoSSVH's clusters, prototypes and their loss: the authors' outputs, and cases computed by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.autossvh.prototypes import Prototypes, corners, densities, find_prototypes, prototype_loss
from numpy.typing import NDArray
from torch.nn import functional

from bench.learning.structure.clustering import Clustering
from tests.methods.autossvh import prototypes
from tests.methods.masked import assert_near, tensors

CPU = torch.device("cpu")


@pytest.mark.parametrize("granularity", [0, 1, 2])
def test_clusters_of_the_authors(granularity: int) -> None:
    """Their centres are those of faiss with as many starts, and the granularity as its seed."""
    truth = tensors("autossvh_clusters")
    clusters = int(truth["clusters"][granularity])
    found = find_prototypes(truth["points"].numpy(), clusters, granularity, "mean", CPU)
    np.testing.assert_array_equal(found.assignment, truth[f"assignments{granularity}"])
    assert_near(found.vectors, truth[f"prototypes{granularity}"], "prototypes")
    assert_near(found.density, truth[f"density{granularity}"], "density")


def clustering(centres: Any, nearest: Any, distance: Any) -> Clustering:
    return Clustering(np.array(centres, np.float32), np.array(nearest), np.array(distance, np.float32))


def test_density_by_hand() -> None:
    # Members 4, 1, 0, 2, 2; the second and third have no spread, and take the largest.
    found = clustering(np.eye(5), [0, 0, 0, 0, 1, 3, 3, 4, 4], [0.1, 0.2, 0.3, 0.4, 9, 0.5, 0.7, 0.02, 0.04])
    dense, wide, narrow = 0.25 / np.log(14), 0.6 / np.log(12), 0.03 / np.log(12)
    # Of five in order the 10th percentile lies 0.4 of the way from the first to the second.
    values = np.array([dense, wide, wide, wide, narrow + 0.4 * (dense - narrow)])
    np.testing.assert_allclose(densities(found), values * 0.2 / values.mean(), rtol=1e-5)


@pytest.mark.parametrize("coincide", [2, 4, 5])
def test_clusters_whose_members_coincide_have_a_density(coincide: int) -> None:
    distance = np.repeat([0.0] * coincide + [0.5] * (5 - coincide), 2)
    # No more than the smallest of the others, or all the same; never 0, by which the loss divides.
    np.testing.assert_allclose(densities(clustering(np.eye(5), np.repeat(range(5), 2), distance)), 0.2, rtol=1e-6)


def test_the_vote_of_the_members() -> None:
    features = np.array([[0.6, 0.8], [-0.6, 0.8], [-0.6, -0.8], [0.6, -0.8]], np.float32)
    # Means (0, 0.8) and (0, −0.8); the third has no members, and the signs of its centre.
    found = clustering([[0, 0.8], [0, -0.8], [-0.1, -0.2]], [0, 0, 1, 1], [0.6] * 4)
    root = 0.5**0.5
    np.testing.assert_allclose(corners(features, found), [[root, root], [root, -root], [-root, -root]], rtol=1e-6)
    single = find_prototypes(features, 4, 0, "sign", CPU)
    np.testing.assert_allclose(single.vectors[single.assignment], np.sign(features) * root, rtol=1e-6)


def test_loss_of_the_authors() -> None:
    truth = tensors("autossvh_losses")
    for view in (1, 2):
        mean_codes = truth[f"frame_codes{view}"].mean(dim=1).requires_grad_()
        codes = functional.normalize(mean_codes)
        losses = [
            prototype_loss(
                codes,
                torch.from_numpy(found.assignment)[truth["index"]],
                truth[f"negatives{view}_{granularity}"],
                found,
            )
            for granularity, found in enumerate(prototypes(truth))
        ]
        loss = torch.stack(losses).mean()
        assert_near(loss, truth[f"prototype{view}"])
        # The file has the gradient of the mean over the views.
        (loss / 2).backward()  # type: ignore[no-untyped-call]
        assert mean_codes.grad is not None
        assert_near(mean_codes.grad, truth[f"grad/mean_codes{view}"], tolerance=2e-5)


def assigned(assignment: NDArray[np.int64]) -> Prototypes:
    return Prototypes(torch.zeros(10, 4), torch.ones(10), assignment)


def test_negatives_are_no_videos_own() -> None:
    found = assigned(np.array([0, 1, 2, 3, 4, 5, 7, 7]))
    videos = np.array([1, 6])
    drawn = np.stack([found.draw_negatives(videos, np.random.default_rng(seed)) for seed in range(400)])
    assert drawn.shape == (400, 2, 2)
    # The largest assigned number is 7, so 8 and 9 are never drawn; 6 is, although it has no video.
    assert set(np.unique(drawn)) == {0, 2, 3, 4, 5, 6}
    assert (drawn[..., 0] != drawn[..., 1]).all()
    # Each view draws its own.
    assert (np.sort(drawn[:, 0]) != np.sort(drawn[:, 1])).any(axis=1).mean() > 0.5
    counts = np.bincount(drawn.ravel(), minlength=8)[[0, 2, 3, 4, 5, 6]]
    # 1600 draws of six: a standard deviation is 15.
    assert abs(counts - 1600 / 6).max() < 75


def test_few_negatives_or_none_are_left() -> None:
    found = assigned(np.array([0, 1, 2, 2]))
    random = np.random.default_rng(0)
    assert found.draw_negatives(np.array([0, 1, 0]), random).tolist() == [[2], [2]]
    assert found.draw_negatives(np.array([0, 1, 3]), random).shape == (2, 0)
