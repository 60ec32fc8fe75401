"""The dense definition of the anchor graph, which the tests of inverted lists are held against."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def dense_tags() -> Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.int64]]:
    return _dense_tags


def _dense_tags(points: NDArray[np.float32], anchors: NDArray[np.float32]) -> NDArray[np.int64]:
    """The definition, with N×M and N×N arrays, and −1 and 3 as 0."""
    linked = dense_links(points, anchors) > 1e-5
    tags = linked[0] + 2 * (linked[2].astype(int) - linked[1].astype(int))
    return np.where((tags == 1) | (tags == 2), tags, 0)


def dense_links(points: NDArray[np.float32], anchors: NDArray[np.float32]) -> NDArray[np.float64]:
    """A_3, A_4 and A_5, (3, N, N)."""
    squared = ((points[:, None].astype(float) - anchors[None].astype(float)) ** 2).sum(axis=2)
    order = np.argsort(squared, axis=1, kind="stable")
    links = []
    for count in (3, 4, 5):
        near = np.take_along_axis(squared, order[:, :count], axis=1)
        sigma = np.sqrt(near[:, -1]).mean() / np.sqrt(2)
        weights = np.exp(-near / (2 * sigma**2))
        dense = np.zeros_like(squared)
        np.put_along_axis(dense, order[:, :count], weights / weights.sum(axis=1, keepdims=True), axis=1)
        mass = dense.sum(axis=0)
        links.append((dense / np.where(mass > 0, mass, 1)) @ dense.T)
    return np.stack(links)
