"""BTH's encoder as encoding runs it: the function of `FrameEncoder` in evaluation mode, with fewer products.

Equal in exact arithmetic, and to rounding in practice (tested), with n the normalised frames before gain and shift:
- LayerNorm's gain and shift are folded into the matrices after it, the positions into the bias of the projection.
- Scores are (Q·n + q)·(K·n' + k)/√H: one matrix KᵀQ/√H and one vector Kᵀq/√H, since what does not depend on the frame
  n' cancels in the softmax.
- A frame's weights sum to 1, so the value and the output matrix are one, and their biases too.
- GELU's tanh approximation x·(1 + tanh u)/2 is x·sigmoid(2u).

Matrices are merged in double precision. Shapes as in `network`.
"""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bench.learning.layers import ChannelProduct

if TYPE_CHECKING:
    from .network import BthEncoder, FrameEncoder, LayerNorm

EPSILON = 1e-6


class InferenceFrames(nn.Module):
    """Frame features (B, T, D) → hidden states of the frames (B, T, H)."""

    positions: Tensor

    def __init__(self, encoder: "FrameEncoder") -> None:
        super().__init__()
        self.frame_map = ChannelProduct(encoder.frame_map.weight)
        self.register_buffer("positions", (encoder.positions + encoder.frame_map.bias).detach())
        attention = encoder.attention
        query, query_bias = normalised(attention.query, encoder.attention_norm)
        key, _ = normalised(attention.key, encoder.attention_norm)
        value, value_bias = normalised(attention.value, encoder.attention_norm)
        output, output_bias = attention.output.weight.double(), attention.output.bias.double()
        root = math.sqrt(len(query))
        self.attention = ChannelProduct(
            torch.cat([key.T @ query / root, output @ value]),
            torch.cat([key.T @ query_bias / root, output @ value_bias + output_bias]),
        )
        first, last = encoder.feed_forward[0], encoder.feed_forward[-1]
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        widen, narrow = normalised(first, encoder.feed_forward_norm), (last.weight, last.bias)
        self.feed_forward = nn.ModuleList([ChannelProduct(*widen), ChannelProduct(*narrow)])

    def hidden(self, videos: Tensor) -> Tensor:
        """Hidden states of the frames, (B, T, H)."""
        x = self.frame_map(videos) + self.positions
        frames = self._normalise(x)
        query, value = self.attention(frames).chunk(2, dim=-1)
        x = x + (query @ frames.transpose(1, 2)).softmax(dim=-1) @ value
        widen, narrow = self.feed_forward
        hidden: Tensor = x + narrow(gelu(widen(self._normalise(x))))
        return hidden

    def _normalise(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        deviation = (centred.square().sum(dim=-1, keepdim=True) / (x.shape[-1] - 1)).sqrt()
        return centred / (deviation + EPSILON)


class InferenceBth(InferenceFrames):
    """Frame features (B, T, D) → mean frame codes (B, K) in [−1, 1], float32."""

    def __init__(self, encoder: "BthEncoder") -> None:
        super().__init__(encoder)
        self.binary = ChannelProduct(encoder.binary.weight, encoder.binary.bias)

    def forward(self, videos: Tensor) -> Tensor:
        codes = self.frame_outputs(videos).add(1).div(2).clamp(0, 1).round() * 2 - 1
        return codes.mean(dim=1)

    def frame_outputs(self, videos: Tensor) -> Tensor:
        """Outputs that are rounded to the codes of the frames, (B, T, K) float32."""
        outputs: Tensor = self.binary(self.hidden(videos))
        return outputs.float()


def gelu(x: Tensor) -> Tensor:
    """GELU's tanh approximation (Hendrycks and Gimpel, 2016): x·sigmoid(√(8/π)·(x + 0.044715·x³))."""
    slope = math.sqrt(8 / math.pi)
    # In place, since this is the widest tensor of the network.
    return x.square().mul_(0.044715 * slope).add_(slope).mul_(x).sigmoid_().mul_(x)


def normalised(layer: nn.Linear, norm: "LayerNorm") -> tuple[Tensor, Tensor]:
    """W and b of a linear layer with the gain and shift of the LayerNorm before it, in double precision."""
    weight = layer.weight.detach().double()
    return weight * norm.gain.detach().double(), layer.bias.detach().double() + weight @ norm.shift.detach().double()
