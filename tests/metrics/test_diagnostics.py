"""What codes look like, by hand."""

import numpy as np
import pytest

from bench.metrics import pack_codes
from bench.metrics.codes import bit_balance, bit_correlation, distinct_share, random_codes, useless_bits


def test_constant_bits_copies_and_inverses() -> None:
    # Columns: varying, its copy, its inverse, always 1, always 0, varying otherwise.
    codes = pack_codes([[0, 0, 1, 1, 0, 0], [1, 1, 0, 1, 0, 0], [0, 0, 1, 1, 0, 1]])
    assert useless_bits(codes) == (2, 2)
    assert useless_bits(pack_codes([[0, 1], [0, 1]])) == (2, 0)
    assert useless_bits(pack_codes(np.eye(70, dtype=int))) == (0, 0)


def test_balance_and_entropy_of_bits() -> None:
    # Shares of +1: 1/4, 1/2, 1, 0. H(1/4) = 2 - (3/4) log2 3 = 0.8112781…
    codes = pack_codes([[1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 1, 0]])
    imbalance, entropy = bit_balance(codes)
    assert imbalance == pytest.approx((0.5 + 0 + 1 + 1) / 4)
    assert entropy == pytest.approx((0.8112781244591328 + 1 + 0 + 0) / 4)
    assert bit_balance(pack_codes([[0, 1], [1, 0]])) == (0, 1)
    assert bit_balance(pack_codes([[0, 1], [0, 1]])) == (1, 0)


def test_correlation_and_effective_number_of_bits() -> None:
    # Two bits that agree in 3 of 4 videos, and one that never varies.
    codes = pack_codes([[1, 1, 1], [1, 1, 1], [0, 0, 1], [0, 1, 1]])
    # Shares 1/2 and 3/4: variances 1 and 3/4, covariance 1 - 2·(1/4) - 0·½ = ½, ρ = ½ / √¾.
    correlation, effective = bit_correlation(codes)
    assert correlation == pytest.approx(0.5 / 0.75**0.5)
    assert effective == pytest.approx(1.75**2 / (1 + 0.75**2 + 2 * 0.5**2))
    # Uncorrelated; copies and inverses; one bit.
    assert bit_correlation(pack_codes([[0, 0], [0, 1], [1, 0], [1, 1]])) == (0, 2)
    assert bit_correlation(pack_codes([[0, 0, 1], [1, 1, 0]])) == (1, 1)
    assert bit_correlation(pack_codes([[0], [1]])) == (0, 1)


@pytest.mark.parametrize("bits", [5, 1030])
def test_correlation_is_numpy_s(bits: int) -> None:
    codes = np.random.default_rng(3).integers(0, 2, (60, bits)) * 2 - 1
    correlation, effective = bit_correlation(pack_codes(codes))
    rho = np.abs(np.corrcoef(codes.T))
    assert correlation == pytest.approx(rho[np.triu_indices(bits, 1)].mean())
    eigenvalues = np.linalg.eigvalsh(np.cov(codes.T))
    assert effective == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum())


def test_share_of_different_codes() -> None:
    assert distinct_share(pack_codes([[0, 1], [0, 1], [1, 1], [0, 1]])) == 0.5
    assert distinct_share(pack_codes(np.eye(9, dtype=int))) == 1.0


def test_random_codes_are_even_and_the_same_each_time() -> None:
    codes = random_codes(2000, 16)
    assert np.array_equal(codes, random_codes(2000, 16))
    assert set(np.unique(codes)) == {-1, 1}
    # Five standard deviations of a mean of 2000 signs.
    assert np.abs(codes.mean(axis=0)).max() < 5 / np.sqrt(2000)
    assert useless_bits(pack_codes(codes)) == (0, 0)
