"""Projection of points onto the directions in which they vary most."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

ROWS = 4096
"""Points of which a copy in float64 is made at a time."""


def principal_projection(points: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """Centred points (N, D) in the `dimensions` ≤ D directions of largest variance, largest first: (N, dimensions).

    By the D×D covariance, in float64: time grows with D³, whatever N. Each direction has its largest entry positive, so
    that the result does not depend on the solver's signs.
    """
    size = points.shape[1]
    mean = points.mean(axis=0, dtype=np.float64)
    blocks = [slice(start, start + ROWS) for start in range(0, len(points), ROWS)]
    covariance = np.zeros((size, size))
    for block in blocks:
        centred = points[block] - mean
        covariance += centred.T @ centred
    _, directions = eigh(covariance, subset_by_index=[size - dimensions, size - 1])
    directions = directions[:, ::-1]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    directions = directions * np.where(largest < 0, -1.0, 1.0)
    return np.concatenate([((points[block] - mean) @ directions).astype(np.float32) for block in blocks])
