"""Exact search without a hash: what the features themselves give."""

from torch import Tensor
from torch.nn.functional import normalize

from bench.context import FitContext
from bench.method import Features, Reference, VectorEncoder


class MeanFeature(VectorEncoder):
    """The mean over the frames, scaled to length 1: (n, T, D) → (n, D)."""

    def forward(self, videos: Tensor) -> Tensor:
        return unit_mean(videos)

    def queries(self, videos: Tensor) -> Tensor:
        return unit_mean(videos)


def unit_mean(videos: Tensor) -> Tensor:
    """The mean over the frames, scaled to length 1: (n, T, D) → (n, D). Their distances rank as their cosine does."""
    return normalize(videos.mean(dim=1), dim=1)


class Float(Reference):
    """Search by the cosine of the mean features, in float32. Nothing is learned, and code length changes nothing."""

    name = "float"
    title = "float32 cosine"
    seeded = False

    def code_bytes(self, dimensions: int) -> int:
        return 4 * dimensions

    def build(self, frames: int, dimensions: int) -> MeanFeature:
        return MeanFeature()

    def fit(self, features: Features, context: FitContext) -> MeanFeature:
        return MeanFeature()
