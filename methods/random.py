"""Random codes: the lower bound that every table shows."""

import numpy as np
import torch
from torch import Tensor, nn

from bench.context import FitContext
from bench.method import Features, Method

# Odd constants of SplitMix64 (Steele et al., OOPSLA 2014), as signed 64-bit numbers.
GOLDEN = -7046029254386353131
MIX_1 = -4658895280553007687
MIX_2 = -7723592293110705685


class ContentHash(nn.Module):
    """A keyed hash of the features' bits: equal videos get equal codes, all others independent ones."""

    key: Tensor

    def __init__(self, key: Tensor, bits: int) -> None:
        super().__init__()
        self.register_buffer("key", key)
        self.bits = bits

    def forward(self, videos: Tensor) -> Tensor:
        """(n, T, D) → (n, K) in ±1."""
        # By way of numpy: torch's tracer, which counts operators, cannot look at floats as integers.
        words = torch.from_numpy(videos.contiguous().cpu().numpy().view(np.int32)).to(self.key)
        # Multilinear hashing: wrapping 64-bit sums, so the order of addition does not matter.
        hashed = (words.flatten(1) * self.key).sum(dim=1, keepdim=True)
        mixed = hashed + GOLDEN * torch.arange(1, self.bits + 1, device=self.key.device)
        mixed = (mixed ^ _shift(mixed, 30)) * MIX_1
        mixed = (mixed ^ _shift(mixed, 27)) * MIX_2
        return 1.0 - 2.0 * (_shift(mixed, 63)).to(torch.float32)


def _shift(words: Tensor, places: int) -> Tensor:
    """Logical right shift of 64-bit words; torch's own keeps the sign."""
    return (words >> places) & ((1 << (64 - places)) - 1)


class Random(Method):
    """Codes without information about the video, yet the same for the same video at every call."""

    name = "random"
    title = "random codes"
    bound = True

    def build(self, frames: int, dimensions: int) -> nn.Module:
        return ContentHash(torch.zeros(frames * dimensions, dtype=torch.int64), self.bits)

    def fit(self, features: Features, context: FitContext) -> nn.Module:
        _, frames, dimensions = features.shape
        key = context.random("key").integers(-(2**63), 2**63, frames * dimensions, dtype=np.int64) | 1
        return ContentHash(torch.from_numpy(key), self.bits)
