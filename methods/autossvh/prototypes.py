"""AutoSSVH's prototypes: what its third loss draws the codes of a video to (Lian et al., CVPR 2025).

Shapes: N training videos, B of a batch, K bits, k clusters, R negatives.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bench.learning.structure.clustering import Clustering, best_clustering

Vote = Literal["mean", "sign"]
MEAN_DENSITY = 0.2
SMALLEST_NORM = 1e-12
# Of unit vectors in float32: members whose mean distance is smaller coincide.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Prototypes:
    """One granularity: k prototypes, how dense their clusters are, and which one each training video has."""

    vectors: Tensor
    """(k, K) float32, of unit length."""
    density: Tensor
    """(k,) float32, their mean is 0.2: the temperatures of the prototypes."""
    assignment: NDArray[np.int64]
    """(N,)."""

    def draw_negatives(self, videos: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
        """For both views R = min(B, number left) different prototypes (2, R) that none of the videos (B,) has.

        Numbers above the largest one that a training video has are not drawn.
        """
        left = np.setdiff1d(np.arange(self.assignment.max() + 1), self.assignment[videos])
        count = min(len(videos), len(left))
        return np.stack([random.choice(left, count, replace=False) for _ in range(2)])


def find_prototypes(
    features: NDArray[np.float32], clusters: int, seed: int, vote: Vote, device: torch.device
) -> Prototypes:
    """The prototypes of normalised features (N, K), N at least `clusters`."""
    found = best_clustering(features, clusters, seed)
    vectors = normalised(found.centres) if vote == "mean" else corners(features, found)
    return Prototypes(
        torch.from_numpy(vectors).to(device), torch.from_numpy(densities(found)).to(device), found.nearest
    )


def normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of unit length; a row of zeros stays."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), SMALLEST_NORM)


def corners(features: NDArray[np.float32], clustering: Clustering) -> NDArray[np.float32]:
    """The members' vote on every bit, (k, K): the sign of the sum of their features, 0 counting as +1, over √K.

    A cluster without members has the signs of its centre.
    """
    votes = np.zeros_like(clustering.centres, dtype=np.float64)
    np.add.at(votes, clustering.nearest, features)
    empty = np.bincount(clustering.nearest, minlength=len(votes)) == 0
    votes[empty] = clustering.centres[empty]
    return (np.where(votes >= 0, 1.0, -1.0) / np.sqrt(features.shape[1])).astype(np.float32)


def densities(clustering: Clustering) -> NDArray[np.float32]:
    """φ (k,): the mean distance of a cluster's n members over ln(n + 10), clipped and scaled to a mean of 0.2.

    A cluster with fewer than two members gets the largest φ of the others. All are clipped to their 10th and 90th
    percentile, but not below the smallest φ of a cluster whose members differ: where those of many coincide the authors
    divide by 0. Where all coincide every φ is 0.2.
    """
    clusters = len(clustering.centres)
    members = np.bincount(clustering.nearest, minlength=clusters)
    distance = np.bincount(clustering.nearest, clustering.distance, clusters) / np.maximum(members, 1)
    density = np.where(members > 1, distance / np.log(members + 10), 0.0)
    differ = (members > 1) & (distance > ROUNDING)
    if not differ.any():
        return np.full(clusters, MEAN_DENSITY, dtype=np.float32)
    smallest = density[differ].min()
    density[members < 2] = density.max()
    density = density.clip(*np.percentile(density, [10, 90])).clip(min=smallest)
    return (density * (MEAN_DENSITY / density.mean())).astype(np.float32)


def prototype_loss(codes: Tensor, own: Tensor, negatives: Tensor, prototypes: Prototypes) -> Tensor:
    """Mean cross-entropy of each video's own prototype among those of the batch and the negatives.

    Args:
        codes: (B, K), of unit length.
        own: (B,) int64, the prototype of each video; one that two videos share counts against both.
        negatives: (R,) int64.
        prototypes: of one granularity.
    """
    columns = torch.cat([own, negatives])
    logits = codes @ prototypes.vectors[columns].T / prototypes.density[columns]
    return functional.cross_entropy(logits, torch.arange(len(codes), device=codes.device))
