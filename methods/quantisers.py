"""Quantisers at the bytes of a hash: product quantisation, the same after a rotation, and RaBitQ.

All search by the distances of mean features of length 1, which rank as their cosines do; queries stay float32.
"""

from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn's
from torch import Tensor, nn
from torch.nn.functional import pad

from bench.base.errors import InputError
from bench.context import FitContext
from bench.learning.structure.clustering import best_clustering
from bench.method import Features, Parameters, Reference, Shape, VectorEncoder, mean_pool

from .float import unit_mean
from .pcah import leading_directions

ITERATIONS = 25
"""Of k-means in each part, as faiss takes by default."""
FACTOR_BITS = 64
"""Of a RaBitQ code: two float32 numbers beside the signs."""


class QuantiserParameters(Parameters):
    bits_each: Literal[4, 8] = 8
    """Bits of each part's code; with fewer than 256 training videos the default is 4."""


class Quantised(VectorEncoder):
    """Features cut into M parts, each replaced by the nearest of its k centres."""

    def __init__(self, centres: Tensor, dimensions: int) -> None:
        """`centres` are (M, k, d), M · d ≥ `dimensions`: zeros fill up the features."""
        super().__init__()
        self.centres = nn.Parameter(centres, requires_grad=False)
        self.dimensions = dimensions

    def rotated(self, videos: Tensor) -> Tensor:
        """Features as they are cut: (n, T, D) → (n, M · d)."""
        parts, _, width = self.centres.shape
        return pad(unit_mean(videos), (0, parts * width - self.dimensions))

    def forward(self, videos: Tensor) -> Tensor:
        rotated = self.rotated(videos)
        parts = rotated.reshape(len(rotated), len(self.centres), -1)
        # Squared distances, less the same for all centres: (n, M, k).
        distances = self.centres.square().sum(dim=2) - 2 * torch.einsum("nmd,mkd->nmk", parts, self.centres)
        nearest = distances.argmin(dim=2)
        quantised = self.centres[torch.arange(len(self.centres), device=nearest.device), nearest].flatten(1)
        return torch.cat([2 * quantised, -quantised.square().sum(dim=1, keepdim=True)], dim=1)

    def queries(self, videos: Tensor) -> Tensor:
        return pad(self.rotated(videos), (0, 1), value=1.0)


class RotatedQuantised(Quantised):
    """The same after a rotation (D, M · d), with rows of length 1 that are orthogonal."""

    def __init__(self, centres: Tensor, rotation: Tensor) -> None:
        super().__init__(centres, len(rotation))
        self.rotation = nn.Parameter(rotation, requires_grad=False)

    def rotated(self, videos: Tensor) -> Tensor:
        return unit_mean(videos) @ self.rotation


class Pq(Reference):
    """Product quantisation: the feature is cut into parts, and k-means gives each a code of 8 or 4 bits."""

    name = "pq"
    title = "PQ"
    paper = "Jégou et al., Product Quantization for Nearest Neighbor Search, TPAMI 2011"
    Parameters: ClassVar = QuantiserParameters
    parameters: QuantiserParameters

    @classmethod
    def defaults(cls, shape: Shape) -> dict[str, int]:
        return {"bits_each": 8 if shape[0] >= 2**8 else 4}

    def check(self, shape: Shape) -> None:
        each, videos = self.parameters.bits_each, shape[0]
        smaller = f"; or set {self.name}.bits_each=4" if each == 8 else ""
        if self.bits % each:
            raise InputError(
                f"bits: {self.name} has codes of {each} bits a part, not of {self.bits}; ask for a multiple of {each}"
                f"{smaller if self.bits % 4 == 0 else ''}"
            )
        if videos < 2**each:
            raise InputError(
                f"{self.name} needs {2**each} training videos, one a centre, not {videos}; give more{smaller}"
            )

    @property
    def parts(self) -> int:
        return self.bits // self.parameters.bits_each

    def build(self, frames: int, dimensions: int) -> Quantised:
        return Quantised(self._no_centres(dimensions), dimensions)

    def fit(self, features: Features, context: FitContext) -> Quantised:
        means = _unit_means(features)
        with threadpool_limits(limits=1):  # the number of threads would change last digits
            return Quantised(self._centres(_filled_up(means, self.parts), context), means.shape[1])

    def _no_centres(self, dimensions: int) -> Tensor:
        return torch.zeros(self.parts, 2**self.parameters.bits_each, -(-dimensions // self.parts))

    def _centres(self, points: NDArray[np.float32], context: FitContext) -> Tensor:
        """Centres (M, k, d) of points (N, M · d), part by part."""
        seeds = context.random("centres").integers(2**31, size=self.parts)
        clusters = 2**self.parameters.bits_each
        found = [
            best_clustering(np.ascontiguousarray(part), clusters, int(seed), starts=1, iterations=ITERATIONS).centres
            for part, seed in zip(np.split(points, self.parts, axis=1), seeds, strict=True)
        ]
        return torch.from_numpy(np.stack(found))


class Opq(Pq):
    """Product quantisation after a rotation that lets all parts vary equally much: the paper's parametric solution."""

    name = "opq"
    title = "OPQ"
    paper = "Ge et al., Optimized Product Quantization for Approximate Nearest Neighbor Search, CVPR 2013"

    def build(self, frames: int, dimensions: int) -> RotatedQuantised:
        centres = self._no_centres(dimensions)
        return RotatedQuantised(centres, torch.zeros(dimensions, len(centres) * centres.shape[2]))

    def fit(self, features: Features, context: FitContext) -> RotatedQuantised:
        means = _unit_means(features)
        with threadpool_limits(limits=1):
            points = _filled_up(means, self.parts)
            rotation = balanced_rotation(points, self.parts)
            centres = self._centres((points @ rotation).astype(np.float32), context)
        kept = np.ascontiguousarray(rotation[: means.shape[1]], dtype=np.float32)
        return RotatedQuantised(centres, torch.from_numpy(kept))


class SignVectors(VectorEncoder):
    """RaBitQ: signs of the projected feature r around the mean, and the numbers |r|² and |r|² / |r|₁ beside them.

    The estimate of a squared distance to a query q is |q|² + |r|² - 2 |r|² / |r|₁ · ⟨q, sign r⟩, unbiased over random
    rotations (Theorem 3.2 of the paper, in other letters).
    """

    def __init__(self, mean: Tensor, projection: Tensor) -> None:
        """`mean` is (D,), `projection` (D, signs)."""
        super().__init__()
        self.mean = nn.Parameter(mean, requires_grad=False)
        self.projection = nn.Parameter(projection, requires_grad=False)

    def projected(self, videos: Tensor) -> Tensor:
        return (unit_mean(videos) - self.mean) @ self.projection

    def forward(self, videos: Tensor) -> Tensor:
        found = self.projected(videos)
        squares = found.square().sum(dim=1, keepdim=True)
        lengths = squares / found.abs().sum(dim=1, keepdim=True).clamp(min=torch.finfo(found.dtype).tiny)
        return torch.cat([2 * lengths * torch.where(found > 0, 1.0, -1.0), -squares], dim=1)

    def queries(self, videos: Tensor) -> Tensor:
        return pad(self.projected(videos), (0, 1), value=1.0)


class Rabitq(Reference):
    """RaBitQ: signs after principal components and a random rotation, with 8 bytes beside them for an estimate."""

    name = "rabitq"
    title = "RaBitQ"
    paper = (
        "Gao and Long, RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for Approximate "
        "Nearest Neighbor Search, SIGMOD 2024"
    )

    def check(self, shape: Shape) -> None:
        if self.bits < FACTOR_BITS + 8:
            raise InputError(
                f"bits: {self.name} keeps {FACTOR_BITS} bits of numbers beside its signs, so {self.bits} are too few; "
                f"ask for {FACTOR_BITS + 8} or more"
            )

    def build(self, frames: int, dimensions: int) -> SignVectors:
        return SignVectors(torch.zeros(dimensions), torch.zeros(dimensions, self.bits - FACTOR_BITS))

    def fit(self, features: Features, context: FitContext) -> SignVectors:
        means, signs = _unit_means(features), self.bits - FACTOR_BITS
        with threadpool_limits(limits=1):
            mean = means.mean(axis=0)
            directions = leading_directions(means - mean, signs)
            # Where there are fewer directions than signs, the rotation spreads them over all signs.
            rotation, _ = np.linalg.qr(context.random("rotation").standard_normal((signs, signs)))
            projection = (directions @ rotation[: directions.shape[1]]).astype(np.float32)
        return SignVectors(torch.from_numpy(mean), torch.from_numpy(projection))


def balanced_rotation(points: NDArray[np.float32], parts: int) -> NDArray[np.float64]:
    """The principal directions of points (N, M · d) as columns, dealt out to M parts so that each varies equally much.

    Equal products of variances are optimal where features are normally distributed (section 4.2 of the OPQ paper).
    """
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    # Above 0, so that every direction weighs something in its part.
    weights = np.log(np.maximum(variances, variances[-1] * 1e-10) + np.finfo(np.float64).tiny)
    weights -= weights[0]
    dealt: list[list[int]] = [[] for _ in range(parts)]
    for column in range(len(weights) - 1, -1, -1):
        open_parts = [part for part in dealt if len(part) < len(weights) // parts]
        min(open_parts, key=lambda part: weights[part].sum()).append(column)
    return np.asarray(directions[:, np.concatenate(dealt)])


def _unit_means(features: Features) -> NDArray[np.float32]:
    means = mean_pool(features)
    return unit_mean(torch.from_numpy(means)[:, None]).numpy()


def _filled_up(means: NDArray[np.float32], parts: int) -> NDArray[np.float32]:
    """Features (N, D) with zeros behind, so that they can be cut into equal parts."""
    return np.pad(means, ((0, 0), (0, -means.shape[1] % parts)))
