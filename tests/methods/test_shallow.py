"""Shallow methods against their definitions, and what they say when a code is longer than the data allows."""

from typing import Any

import numpy as np
import pytest
from bench.methods.itq import Itq, ItqParameters
from bench.methods.pcah import principal_directions
from scipy.linalg import orthogonal_procrustes

import bench
from bench.base.errors import InputError
from bench.data.dataset import Dataset
from bench.data.features import ArrayFeatures, mean_pool


def test_principal_directions_diagonalise_the_covariance() -> None:
    random = np.random.default_rng(0)
    centred = random.normal(size=(200, 6)) * [5, 4, 3, 2, 1, 0.5]
    centred -= centred.mean(axis=0)
    directions = principal_directions(centred.astype(np.float32), 6)
    covariance = directions.T @ centred.T @ centred @ directions
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-2)
    assert (np.diff(np.diag(covariance)) < 0).all()


def test_pcah_codes_are_the_signs_of_the_projections(tiny: Dataset) -> None:
    pooled = mean_pool(tiny.train.features).astype(np.float64)
    centred = pooled - pooled.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    expected = np.sign(centred @ directions[:5].T)
    codes = bench.fit("pcah", tiny, bits=5).encode(tiny.train.features)
    # The sign of a direction is arbitrary.
    agreement = np.abs((codes * expected).mean(axis=0))
    np.testing.assert_array_equal(agreement, 1)


def module_of(name: str, data: Dataset, seed: int = 0) -> Any:
    return bench.fit(name, data, bits=8, seed=seed).module


def test_itq_loses_less_than_pcah_and_stays_orthogonal(tiny: Dataset) -> None:
    pcah, itq = module_of("pcah", tiny), module_of("itq", tiny)
    pooled = mean_pool(tiny.train.features)

    def quantisation_error(module: Any) -> float:
        projected = (pooled - module.mean.numpy()) @ module.weight.numpy()
        return float(((np.sign(projected) - projected) ** 2).sum())

    assert quantisation_error(itq) < quantisation_error(pcah)
    np.testing.assert_allclose(itq.weight.T @ itq.weight, np.eye(8), atol=1e-5)


def test_lsh_hyperplanes_pass_through_the_mean(tiny: Dataset) -> None:
    module = module_of("lsh", tiny)
    np.testing.assert_allclose(module.mean, mean_pool(tiny.train.features).mean(axis=0), rtol=1e-5, atol=1e-6)
    assert not np.allclose(module.weight, module_of("lsh", tiny, seed=1).weight)


@pytest.mark.parametrize("method", ["pcah", "itq"])
def test_more_bits_than_the_data_has_directions(method: str, tiny: Dataset) -> None:
    with pytest.raises(InputError, match=r"gives at most 32 bits for 40 training videos with 32 features, not 33"):
        bench.fit(method, tiny, bits=33)


def test_a_lower_rank_than_the_shape_tells() -> None:
    random = np.random.default_rng(0)
    flat = (random.normal(size=(50, 3)) @ random.normal(size=(3, 20))).astype(np.float32)
    with pytest.raises(InputError, match="have rank 3, too few for 4 bits"):
        principal_directions(flat - flat.mean(axis=0), 4)


def test_random_codes_know_nothing_but_the_same_video(tiny: Dataset) -> None:
    encoder = bench.fit("random", tiny, bits=64)
    videos = tiny.gallery.features[:]
    codes = encoder.encode(videos).astype(int)
    np.testing.assert_array_equal(encoder.encode(videos[::-1])[::-1], codes)
    nudged = videos.copy()
    nudged[:, 0, 0] += 1e-3
    # 30 × 64 fair coins: the share of equal bits is within five standard deviations of a half.
    assert abs((encoder.encode(nudged) == codes).mean() - 0.5) < 5 * 0.5 / np.sqrt(codes.size)
    assert not np.array_equal(bench.fit("random", tiny, bits=64, seed=1).encode(videos), codes)


def test_oracle_is_perfect_on_single_labels(tiny: Dataset) -> None:
    assert tiny.gallery.labels is not None
    encoder = bench.fit("oracle", tiny, bits=16)
    codes = encoder.encode(ArrayFeatures(tiny.gallery.labels[:, None, :].astype(np.float32)))
    same = (tiny.gallery.labels @ tiny.gallery.labels.T) > 0
    np.testing.assert_array_equal((codes.astype(int) @ codes.T.astype(int)) == 16, same)


def test_itq_rotates_as_orthogonal_procrustes_says() -> None:
    """Two rounds beside scipy's solution, from the same random rotation."""
    random = np.random.default_rng(3)
    centred = (random.normal(size=(60, 7)) @ random.normal(size=(7, 7))).astype(np.float32)
    centred -= centred.mean(axis=0)
    components = principal_directions(centred, 4)
    projected = centred.astype(np.float64) @ components
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))
    for _ in range(2):
        rotation, _ = orthogonal_procrustes(projected, np.where(projected @ rotation >= 0, 1.0, -1.0))
    found = Itq(4, ItqParameters(iterations=2)).directions(centred, np.random.default_rng(0))
    np.testing.assert_allclose(found, components @ rotation, atol=1e-9)
