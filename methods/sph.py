"""SpH: spheres around pivots, one a bit, that are balanced and independent (Heo et al., CVPR 2012)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from bench.base.errors import InputError
from bench.context import FitContext
from bench.method import Features, Method, Parameters, Shape, mean_pool

MEAN_ERROR, DEVIATION = 0.10, 0.15
"""Of the overlaps of two spheres, as shares of the right one, with which the search ends."""
ROUNDING = 1e-6
"""By which radii are widened: a video that defines one stays within it in float32."""


class SphericalParameters(Parameters):
    seeds_a_pivot: int = Field(5, ge=1)
    """Random training videos in whose mean a pivot starts."""
    updates: int = Field(1000, ge=0)
    """Moves of the pivots at most; the search ends before where its criterion is met."""


class SphericalHash(nn.Module):
    """Radius less the distance to the pivot, of the mean over the frames: (n, T, D) → (n, K)."""

    def __init__(self, pivots: Tensor, radii: Tensor) -> None:
        super().__init__()
        self.pivots = nn.Parameter(pivots, requires_grad=False)
        self.radii = nn.Parameter(radii, requires_grad=False)

    def forward(self, videos: Tensor) -> Tensor:
        # Distances by a product, which loses digits far from the origin: so that is put between the pivots.
        centre = self.pivots.mean(dim=0)
        pivots, x = self.pivots - centre, videos.mean(dim=1) - centre
        squares = (x * x).sum(dim=1, keepdim=True) + (pivots * pivots).sum(dim=1) - 2 * (x @ pivots.transpose(0, 1))
        return self.radii - squares.clamp(min=0).sqrt()


class Sph(Method):
    """One bit for each of K spheres: whether the mean-pooled feature lies within. Ranked by Hamming distance."""

    name = "sph"
    title = "SpH"
    paper = "Heo et al., Spherical Hashing, CVPR 2012"
    Parameters: ClassVar = SphericalParameters
    parameters: SphericalParameters

    def check(self, shape: Shape) -> None:
        if shape[0] < 2:
            raise InputError(f"{self.name} needs 2 training videos or more: half of them lie within a sphere")

    def build(self, frames: int, dimensions: int) -> SphericalHash:
        return SphericalHash(torch.zeros(self.bits, dimensions), torch.zeros(self.bits))

    def fit(self, features: Features, context: FitContext) -> SphericalHash:
        points = mean_pool(features).astype(np.float64)
        mean = points.mean(axis=0)
        points -= mean
        random, seeds = context.random("pivots"), min(self.parameters.seeds_a_pivot, len(points))
        start = [points[random.choice(len(points), seeds, replace=False)].mean(axis=0) for _ in range(self.bits)]
        found = find_spheres(points, np.stack(start), self.parameters.updates)
        context.checkpoint = f"spheres after {found.updates} updates"
        if not found.independent:
            context.checkpoint += ", not independent by the paper's criterion"
            context.say(f"{self.name}: {context.checkpoint}")
        pivots, radii = found.pivots + mean, found.radii * (1 + ROUNDING)
        return SphericalHash(torch.from_numpy(pivots).float(), torch.from_numpy(radii).float())


@dataclass(frozen=True)
class Spheres:
    """K spheres, each around half of the training videos."""

    pivots: NDArray[np.float64]
    """(K, D)."""
    radii: NDArray[np.float64]
    """(K,)."""
    updates: int
    """The number of times that the pivots were moved."""
    independent: bool
    """Whether each two spheres share nearly a quarter of the videos, by the paper's criterion."""


def find_spheres(points: NDArray[np.float64], pivots: NDArray[np.float64], updates: int) -> Spheres:
    """Spheres around points (m, D), from pivots (K, D) that are moved `updates` times at most.

    m is 2 or more. Points should be centred: distances come from products.
    """
    lengths = np.square(points).sum(axis=1)
    quarter = len(points) / 4
    moved = 0
    while True:
        distances = lengths[:, None] - 2 * (points @ pivots.T) + np.square(pivots).sum(axis=1)
        radii = np.partition(distances, len(points) // 2 - 1, axis=0)[len(points) // 2 - 1]
        within = (distances <= radii).astype(np.float64)
        excess = (within.T @ within - quarter) / quarter
        independent = are_independent(excess)
        if independent or moved == updates:
            return Spheres(pivots, np.sqrt(np.maximum(radii, 0)), moved, independent)
        # A pivot is no neighbour of its own: p_i − p_i is 0.
        forces = excess.sum(axis=1, keepdims=True) * pivots - excess @ pivots
        pivots = pivots + forces / (2 * len(pivots))
        moved += 1


def are_independent(excess: NDArray[np.float64]) -> bool:
    """Whether overlaps (K, K), as excess over the right one, are near enough to 0 and to each other."""
    pairs = excess[np.triu_indices(len(excess), 1)]
    return not pairs.size or bool(np.abs(pairs).mean() <= MEAN_ERROR and pairs.std() <= DEVIATION)
