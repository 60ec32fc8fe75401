"""PCAH: signs of the principal components."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.method import ShallowMethod, Shape


class Pcah(ShallowMethod):
    """One bit for each of the K directions of largest variance of the mean-pooled feature."""

    name = "pcah"
    title = "PCAH"
    paper = "Wang et al., Semi-Supervised Hashing for Scalable Image Retrieval (its PCA baseline), CVPR 2010"
    seeded = False

    def check(self, shape: Shape) -> None:
        videos, _, dimensions = shape
        # Centring takes one from the rank that so many videos can span.
        rank = min(videos - 1, dimensions)
        if self.bits > rank:
            raise InputError(
                f"bits: {self.name} gives at most {rank} bits for {videos} training videos with {dimensions} "
                f"features, not {self.bits}; ask for fewer bits"
            )

    def directions(
        self, centred: NDArray[np.float32], random: np.random.Generator
    ) -> NDArray[np.floating[Any]]:  # fmt: skip
        return principal_directions(centred, self.bits)


def principal_directions(centred: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """The `count` directions of largest variance, (D, count), each with its largest entry positive.

    Raises InputError if the data has a lower rank.
    """
    directions = leading_directions(centred, count)
    if count > (rank := directions.shape[1]):
        raise InputError(f"bits: the training features have rank {rank}, too few for {count} bits; ask for fewer bits")
    return directions


def leading_directions(centred: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """At most `count` directions of largest variance, (D, ≤ count): as many as have any."""
    doubled = centred.astype(np.float64)
    variances, directions = np.linalg.eigh(doubled.T @ doubled)
    variances, directions = variances[::-1], directions[:, ::-1]
    rank = int((variances > variances[0] * 1e-10).sum()) if variances[0] > 0 else 0
    chosen = directions[:, : min(count, rank)]
    largest = np.take_along_axis(chosen, np.abs(chosen).argmax(axis=0)[None, :], axis=0)
    return chosen * np.where(largest < 0, -1.0, 1.0)
