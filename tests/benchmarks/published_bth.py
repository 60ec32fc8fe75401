"""What BTH's published code computes when it encodes, written out plainly: decoder, powers and masks included.

`methods.bth.network` is defined with less: no decoder, GELU as one operator, clipping without masks.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

EPSILON = 1e-6


class PublishedBth(nn.Module):
    """Frame features (B, T, D) → mean frame codes (B, K), with the weights of a `BthEncoder`."""

    def __init__(self, encoder: Any, dimensions: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.restore = nn.Linear(encoder.binary.out_features, dimensions)

    def forward(self, videos: Tensor) -> Tensor:
        codes, _restored = self.frames(videos)
        return codes.mean(dim=1)

    def frames(self, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, T, K) and restored features (B, T, D) of the frames."""
        encoder = self.encoder
        x = encoder.frame_map(videos) + encoder.positions
        x = x + self.attention(norm(x, encoder.attention_norm))
        first, _, _, last = encoder.feed_forward
        x = x + last(gelu(first(norm(x, encoder.feed_forward_norm))))
        soft = (encoder.binary(x) + 1.0) / 2.0
        soft[soft > 1] = 1
        soft[soft < 0] = 0
        codes = 2.0 * torch.round(soft) - 1.0
        return codes, self.restore(codes)

    def attention(self, x: Tensor) -> Tensor:
        """One head, (B, T, H) → (B, T, H)."""
        layers = self.encoder.attention
        scores = layers.query(x) @ layers.key(x).transpose(-2, -1) / math.sqrt(x.shape[-1])
        attended: Tensor = layers.output(torch.softmax(scores, dim=-1) @ layers.value(x))
        return attended


def norm(x: Tensor, layer: Any) -> Tensor:
    """LayerNorm by the unbiased standard deviation."""
    mean, deviation = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
    normalised: Tensor = layer.gain * (x - mean) / (deviation + EPSILON) + layer.shift
    return normalised


def gelu(x: Tensor) -> Tensor:
    """GELU's tanh approximation."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))))
