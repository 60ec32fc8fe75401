"""A pre-norm transformer block and fixed positions. Shapes: B videos, T tokens, w the width."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

FEED_FORWARD = 4
EPSILON = 1e-6
"""Of LayerNorm, as vision transformers have it; torch's default is 1e-5."""


class Attention(nn.Module):
    """Softmax attention among all tokens, (B, T, w) → (B, T, w), with h heads of ⌊w/h⌋ channels.

    Keys have no bias, since it would cancel in the softmax. The products are plain, so that they can be counted.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.channels = width // heads
        inner = heads * self.channels
        self.query_key_value = nn.Linear(width, 3 * inner, bias=False)
        self.query_bias = nn.Parameter(torch.zeros(inner))
        self.value_bias = nn.Parameter(torch.zeros(inner))
        self.output = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        bias = torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias])
        projected = functional.linear(x, self.query_key_value.weight, bias)
        heads = projected.view(*x.shape[:2], 3, self.heads, self.channels)
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind()
        scores = (query / math.sqrt(self.channels)) @ key.transpose(2, 3)
        attended = (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        output: Tensor = self.output(attended)
        return output


class Block(nn.Module):
    """x + A(LN(x)), then x + F(LN(x)), with A the attention and F: w → 4·w → w with exact GELU; no dropout."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, EPSILON)
        self.attention = Attention(width, heads)
        self.feed_forward_norm = nn.LayerNorm(width, EPSILON)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, FEED_FORWARD * width), nn.GELU(), nn.Linear(FEED_FORWARD * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        attended: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return attended


def xavier(modules: Iterable[nn.Module]) -> None:
    """Draw the weights of all linear layers among `modules`: Xavier uniform, biases 0."""
    for module in modules:
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def sinusoidal_positions(frames: int, width: int) -> Tensor:
    """The fixed positions of Vaswani et al. (NeurIPS 2017), (T, w) for an even w: sine and cosine, interleaved."""
    place = torch.arange(frames, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * -(math.log(10000.0) / width))
    positions = torch.zeros(frames, width)
    positions[:, 0::2] = torch.sin(place * rate)
    positions[:, 1::2] = torch.cos(place * rate)
    return positions
