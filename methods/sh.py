"""SH: signs of smooth waves along the principal components (Weiss, Torralba and Fergus, NIPS 2008)."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.errors import InputError
from bench.context import FitContext
from bench.method import Features, Method, Shape, mean_pool

from .pcah import leading_directions


class SpectralHash(nn.Module):
    """A cosine of one direction a bit: (n, T, D) → (n, K), from P directions.

    cos(k·π·(z_i − low_i) / (high_i − low_i)), with z the mean over the frames, less the training mean, on direction i =
    `axis` of the bit, and k = its `order`.
    """

    axis: Tensor
    order: Tensor

    def __init__(self, dimensions: int, directions: int, bits: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(dimensions), requires_grad=False)
        self.components = nn.Parameter(torch.zeros(dimensions, directions), requires_grad=False)
        self.low = nn.Parameter(torch.zeros(directions), requires_grad=False)
        self.high = nn.Parameter(torch.zeros(directions), requires_grad=False)
        self.register_buffer("axis", torch.zeros(bits, dtype=torch.int64))
        self.register_buffer("order", torch.zeros(bits, dtype=torch.int64))

    def forward(self, videos: Tensor) -> Tensor:
        z = (videos.mean(dim=1) - self.mean) @ self.components - self.low
        rates = self.order * math.pi / (self.high - self.low)[self.axis]
        return torch.cos(z[:, self.axis] * rates)

    def load_state_dict(self, state_dict: Any, *others: Any, **named: Any) -> Any:
        """RuntimeError also for a bit of a direction that there is not."""
        axis = state_dict.get("axis", self.axis)
        if not ((axis >= 0) & (axis < len(self.low))).all():
            raise RuntimeError(f"'axis' holds numbers outside 0 to {len(self.low) - 1}")
        return super().load_state_dict(state_dict, *others, **named)


class Sh(Method):
    """The K smoothest waves along the principal components of the mean-pooled feature, several along long ones."""

    name = "sh"
    title = "SH"
    paper = "Weiss, Torralba and Fergus, Spectral Hashing, NIPS 2008"
    seeded = False

    def check(self, shape: Shape) -> None:
        if shape[0] < 2:
            raise InputError(f"{self.name} needs 2 training videos or more: one alone varies in no direction")

    def build(self, frames: int, dimensions: int) -> SpectralHash:
        return SpectralHash(dimensions, min(self.bits, dimensions), self.bits)

    def fit(self, features: Features, context: FitContext) -> SpectralHash:
        pooled = mean_pool(features)
        mean = pooled.mean(axis=0, dtype=np.float64)
        centred = pooled - mean.astype(np.float32)
        components = leading_directions(centred, self.bits)
        if not components.size:
            raise InputError(f"{self.name}: all training videos have the same mean feature; there is nothing to learn")
        z = (pooled - mean) @ components
        low, high = z.min(axis=0), z.max(axis=0)
        axis, order = smoothest_waves(high - low, self.bits)
        learned = {"mean": mean, "components": components, "low": low, "high": high, "axis": axis, "order": order}
        module = self.build(1, features.shape[2])
        stored = module.state_dict()
        for name, values in learned.items():
            # Directions without variance are missing: the last ones stay 0, and no bit reads them.
            stored[name][..., : values.shape[-1]] = torch.from_numpy(values)
        return module


def smoothest_waves(lengths: NDArray[np.float64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Direction i and order k = 1, 2, … of the `count` waves with the smallest k / ℓ_i, for the lengths ℓ (P,).

    Those have the smallest eigenvalues 1 − exp(−ε²/2·(k·π/ℓ_i)²), whatever ε is. Equal ones come by i, then by k.
    """
    axis, order = (grid.ravel() for grid in np.meshgrid(np.arange(len(lengths)), np.arange(1, count + 1)))
    chosen = np.lexsort((order, axis, order / lengths[axis]))[:count]
    return axis[chosen], order[chosen]
