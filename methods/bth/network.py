"""BTH's transformer (Li et al., CVPR 2021). Shapes: B videos, T frames, D features, H hidden channels, K bits."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.learning.layers import Dropout

from ..shared.transformer import sinusoidal_positions
from .inference import EPSILON, InferenceBth

DROPOUT = 0.1
FEED_FORWARD = 4


class LayerNorm(nn.Module):
    """(x − mean) / (s + 1e-6)·gain + shift over the last axis, s the unbiased standard deviation, as BTH has it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))
        self.shift = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        deviation = (centred.square().sum(dim=-1, keepdim=True) / (x.shape[-1] - 1)).sqrt()
        return self.gain * centred / (deviation + EPSILON) + self.shift


class Attention(nn.Module):
    """Single-head scaled dot-product attention, (B, T, H) → (B, T, H)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, hidden)
        self.dropout = Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.query(x) @ self.key(x).transpose(1, 2) / math.sqrt(x.shape[-1])
        attended: Tensor = self.output(self.dropout(scores.softmax(dim=-1)) @ self.value(x))
        return attended


class FrameEncoder(nn.Module):
    """Frame features (B, T, D) → hidden states of the frames; how they become a code is for subclasses to say."""

    positions: Tensor

    def __init__(self, frames: int, dimensions: int, hidden: int) -> None:
        super().__init__()
        self.frame_map = nn.Linear(dimensions, hidden)
        self.register_buffer("positions", sinusoidal_positions(frames, hidden), persistent=False)
        self.attention_norm = LayerNorm(hidden)
        self.attention = Attention(hidden)
        self.feed_forward_norm = LayerNorm(hidden)
        self.feed_forward = nn.Sequential(
            nn.Linear(hidden, FEED_FORWARD * hidden),
            nn.GELU(approximate="tanh"),
            Dropout(DROPOUT),
            nn.Linear(FEED_FORWARD * hidden, hidden),
        )
        self.dropout = Dropout(DROPOUT)

    def hidden(self, videos: Tensor) -> Tensor:
        """Hidden states of the frames, (B, T, H)."""
        x = self.dropout(self.frame_map(videos) + self.positions)
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return self.dropout(x)


class BthEncoder(FrameEncoder):
    """Frame features (B, T, D) → mean frame codes (B, K) in [−1, 1]; the code is their sign."""

    def __init__(self, frames: int, dimensions: int, bits: int, hidden: int) -> None:
        super().__init__(frames, dimensions, hidden)
        self.binary = nn.Linear(hidden, bits)

    def frame_codes(self, hidden: Tensor) -> Tensor:
        """Codes ±1 of the frames, (B, T, K); the gradient passes the rounding as if it were not there."""
        soft = ((self.binary(hidden) + 1) / 2).clamp(0, 1)
        return 2 * (soft + (soft.round() - soft).detach()) - 1

    def forward(self, videos: Tensor) -> Tensor:
        return self.frame_codes(self.hidden(videos)).mean(dim=1)

    def inference_module(self) -> nn.Module:
        """The same function for encoding, faster."""
        return InferenceBth(self)


class BthNetwork(nn.Module):
    """The encoder and its decoder, which restores every frame from its code."""

    def __init__(self, frames: int, dimensions: int, bits: int, hidden: int) -> None:
        super().__init__()
        self.encoder = BthEncoder(frames, dimensions, bits, hidden)
        self.restore = nn.Linear(bits, dimensions)

    def forward(self, videos: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states (B, T, H), frame codes (B, T, K), restored frames (B, T, D)."""
        hidden = self.encoder.hidden(videos)
        codes = self.encoder.frame_codes(hidden)
        return hidden, codes, self.restore(codes)


def reconstruction_loss(restored: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Mean squared error of the restored frames (B, T, D): of both videos of a pair, over 2·T·D·B."""
    return torch.stack(
        [functional.mse_loss(frames, target) for frames, target in zip(restored, targets, strict=True)]
    ).mean()
