"""S5VH's hash centres: codes of K bits, far from each other, one a cluster."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import hadamard


def hash_centres(count: int, bits: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Rows of [H; −H], H the Hadamard matrix of K bits, and from 2·K on random ones with K/2 entries −1: (count, K).

    K must be a power of two. Two of the first 2·K rows differ in K/2 bits or more.
    """
    rows = hadamard(bits, dtype=np.int64)
    spare = np.tile(np.repeat([1, -1], [bits - bits // 2, bits // 2]), (max(0, count - 2 * bits), 1))
    return np.concatenate([rows, -rows, random.permuted(spare, axis=1)])[:count]
