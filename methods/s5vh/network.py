"""S5VH's networks: masked auto-encoders of bidirectional Mamba blocks (Wang et al., AAAI 2025).

Shapes: B videos, T frames (V visible, M hidden in a view), D features, H channels, K bits, C clusters.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..shared.autoencoder import MaskedDecoder, MaskedEncoder
from ..shared.transformer import xavier
from ..shared.views import take
from .inference import InferenceS5vh
from .mamba import BidirectionalBlock


class S5vhEncoder(MaskedEncoder):
    """Frame features (B, T, D) → mean frame codes (B, K) in [−1, 1]; the code is their sign."""

    def __init__(
        self, frames: int, dimensions: int, bits: int, hidden: int, layers: int, *, tied: bool, drop_path: float
    ) -> None:
        super().__init__(frames, dimensions, bits, hidden, depth=0, heads=1)
        # Later blocks are left out more often.
        rates = np.linspace(0, drop_path, layers).tolist()
        self.blocks = nn.Sequential(*(BidirectionalBlock(hidden, tied, rate) for rate in rates))
        xavier(self.blocks.modules())

    def inference_module(self) -> nn.Module:
        """The same function for encoding, faster."""
        return InferenceS5vh(self)


class S5vhDecoder(MaskedDecoder):
    """Restores hidden frames. Visible ones come first: the scan has read every code when it comes to a hidden one."""

    def __init__(
        self, frames: int, dimensions: int, bits: int, width: int, layers: int, *, tied: bool
    ) -> None:  # fmt: skip
        super().__init__(frames, dimensions, bits, width, depth=0, heads=1)
        self.blocks = nn.Sequential(*(BidirectionalBlock(width, tied) for _ in range(layers)))
        xavier(self.blocks.modules())


class Seen(NamedTuple):
    """The network's outputs for two views of every video; the views of a video follow each other."""

    codes: Tensor
    """Mean frame codes (2·B, K)."""
    clusters: Tensor
    """The classifier's outputs (2·B, C)."""
    restored: Tensor
    """The hidden frames (2·B, M, D)."""


class S5vhNetwork(nn.Module):
    """The encoder; to train it, a decoder of hidden frames and a classifier of the codes' clusters."""

    def __init__(self, encoder: S5vhEncoder, decoder: S5vhDecoder, clusters: int) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.classifier = nn.Linear(encoder.hash.linear.out_features, clusters, bias=False)

    def forward(self, tokens: Tensor, visible: Tensor, hidden: Tensor) -> Seen:
        """Tokens of all frames (B, T, H); frame numbers `visible` (B, 2, V) and `hidden` (B, 2, M)."""
        # View by view: a frame in both would have two gradients, whose order of summing may vary on GPUs.
        views = torch.stack([take(tokens, view) for view in visible.unbind(1)], dim=1).flatten(0, 1)
        codes = self.encoder.hash(self.encoder.encoded(views))
        mean = codes.float().mean(dim=1)
        return Seen(mean, self.classifier(mean), self.decoder(codes, visible.flatten(0, 1), hidden.flatten(0, 1)))
