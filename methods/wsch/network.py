"""WSCH's networks: a wide, shallow auto-encoder of frames with a code per frame.

Shapes: B videos, T frames (V visible, M hidden in a view), D features, H channels of the encoder and G of the decoder,
K bits, C clusters. No network knows the places of frames; the encoder reads them in temporal order.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..s5vh.mamba import CausalConvolution
from ..shared.binarise import HashLayer
from ..shared.views import take
from .state_space import StateSpace

HEADS = 4
EPSILON = 1e-5


class RmsNorm(nn.Module):
    """x / √(mean x² + 1e-5), times a gain for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        return x * (x.square().mean(dim=-1, keepdim=True) + EPSILON).rsqrt() * self.weight


class Attention(nn.Module):
    """Softmax attention of the tokens (B, Q, w) to tokens (B, V, w), with four heads: (B, Q, w).

    The products are plain, so that they can be counted.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width)

    def forward(self, asking: Tensor, asked: Tensor, raised: Tensor | None = None) -> Tensor:
        """`raised` (V,) is added to the scores of the tokens that are asked."""
        query, key, value = (
            layer(tokens).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for layer, tokens in ((self.query, asking), (self.key, asked), (self.value, asked))
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        if raised is not None:
            scores = scores + raised
        attended: Tensor = self.output((scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2))
        return attended


class WschEncoder(nn.Module):
    """Frame features (B, T, D) → embeddings (B, K), the mean frame codes at unit length; the code is their sign."""

    def __init__(self, dimensions: int, bits: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dimensions)
        self.enter = nn.Linear(dimensions, hidden, bias=False)
        self.rms_norm = RmsNorm(hidden)
        self.expand = nn.Linear(hidden, 4 * hidden, bias=False)
        self.convolution = CausalConvolution(2 * hidden, 2, bias=False)
        self.state_space = StateSpace(2 * hidden)
        self.leave = nn.Linear(2 * hidden, hidden)
        self.attention_norm = nn.LayerNorm(hidden)
        self.attention = Attention(hidden)
        self.hash = HashLayer(hidden, bits)

    def encoded(self, frames: Tensor) -> Tensor:
        """The input of the hash layer: (B, V, D) → (B, V, H)."""
        tokens = self.enter(self.norm(frames))
        x, gate = self.expand(self.rms_norm(tokens)).chunk(2, dim=-1)
        tokens = tokens + self.leave(self.state_space(self.convolution(x), gate))
        normalised = self.attention_norm(tokens)
        encoded: Tensor = tokens + self.attention(normalised, normalised)
        return encoded

    def frame_codes(self, frames: Tensor) -> Tensor:
        """Codes ±1 of the frames (B, V, D): (B, V, K)."""
        codes: Tensor = self.hash(self.encoded(frames))
        return codes

    def forward(self, videos: Tensor) -> Tensor:
        return embedding(self.frame_codes(videos))


def embedding(codes: Tensor) -> Tensor:
    """The mean of frame codes (B, V, K) at unit length: (B, K)."""
    return functional.normalize(codes.float().mean(dim=1))


class WschDecoder(nn.Module):
    """Restores a hidden frame of a video from the codes of its visible ones.

    Hidden frames have the same token and no places, so all are restored alike: one is computed, to which its M copies
    are worth one whose score is raised by ln M.
    """

    def __init__(self, dimensions: int, bits: int, width: int) -> None:
        super().__init__()
        self.mask_token = nn.Parameter(torch.zeros(1, 1, bits))
        self.embed = nn.Linear(bits, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width)
        self.leave = nn.Linear(width, dimensions)

    def forward(self, codes: Tensor, hidden: int) -> Tensor:
        """Each of M = `hidden` frames, restored from the codes (B, V, K) of the others: (B, 1, D)."""
        tokens = self.embed(torch.cat([codes, self.mask_token.expand(len(codes), 1, -1)], dim=1))
        normalised = self.norm(tokens)
        raised = torch.zeros(tokens.shape[1], device=tokens.device)
        raised[-1] = math.log(hidden)
        restored: Tensor = self.leave(tokens[:, -1:] + self.attention(normalised[:, -1:], normalised, raised))
        return restored


class Seen(NamedTuple):
    """The network's outputs for two views of every video; the views of a video follow each other."""

    embeddings: Tensor
    """(2·B, K)."""
    restored: Tensor
    """(2·B, 1, D), the same for all hidden frames of a view."""
    hidden: Tensor
    """(2·B, M, D), those frames as they are."""


class WschNetwork(nn.Module):
    """The encoder; to train it, a decoder of hidden frames and the centres of the clusters of codes."""

    centres: Tensor

    def __init__(self, encoder: WschEncoder, decoder: WschDecoder, clusters: int) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.register_buffer("centres", torch.zeros(clusters, decoder.embed.in_features))

    def forward(self, videos: Tensor, visible: Tensor, hidden: Tensor) -> Seen:
        """Two views of videos (B, T, D), that see the frames `visible` (B, 2, V) and restore `hidden` (B, 2, M)."""
        codes = self.encoder.frame_codes(chosen(videos, visible))
        return Seen(embedding(codes), self.decoder(codes, hidden.shape[2]), chosen(videos, hidden))

    def embeddings(self, videos: Tensor, visible: Tensor) -> Tensor:
        """Those of the two views of every video: (B, 2, K)."""
        found: Tensor = self.encoder(chosen(videos, visible))
        return found.view(len(videos), 2, -1)


def chosen(videos: Tensor, places: Tensor) -> Tensor:
    """The frames of videos (B, T, D) at the places of two views (B, 2, V): (2·B, V, D), a video's views in turn."""
    return take(videos, places.flatten(1)).view(-1, places.shape[2], videos.shape[2])
