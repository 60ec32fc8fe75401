"""Principal components by the covariance, against a singular value decomposition of the points."""

import numpy as np
import pytest

from bench.learning.structure import projection
from bench.learning.structure.projection import principal_projection


@pytest.mark.parametrize(("points", "size", "kept"), [(50, 8, 3), (50, 8, 8), (6, 20, 5), (1, 4, 2)])
def test_projections_are_those_of_the_singular_vectors(
    points: int, size: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "ROWS", 7)
    given = np.random.default_rng(0).normal(3, 1, size=(points, size)) * np.arange(1, size + 1)
    found = principal_projection(given.astype(np.float32), kept)
    centred = given - given.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    assert found.shape == (points, kept)
    assert found.dtype == np.float32
    for number in range(min(kept, int((values > 1e-9).sum()))):
        direction = directions[number] * np.sign(directions[number][np.abs(directions[number]).argmax()])
        np.testing.assert_allclose(found[:, number], centred @ direction, atol=2e-4 * size)


def test_what_lies_beyond_the_rank_is_0() -> None:
    given = np.outer(np.arange(5), np.arange(1, 4)).astype(np.float32)
    found = principal_projection(given, 3)
    assert np.abs(found[:, 1:]).max() < 1e-5
    np.testing.assert_allclose(found[:, 0], (np.arange(5) - 2) * np.sqrt(14), rtol=1e-6)
