"""S5VH's networks (Wang et al., AAAI 2025).

Shapes: B videos, T frames of which a view shows V and hides M, D features, H and G channels, K bits, C clusters.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.methods.bth.network import sinusoidal_positions
from bench.methods.shared.binarise import HashLayer
from bench.methods.shared.views import take

from .inference import InferenceS5vh
from .mamba import EPSILON, BidirectionalBlock

MASK_DEVIATION = 0.02


class Encoder(nn.Module):
    """Frame features (B, T, D) → mean frame codes (B, K) in [−1, 1]; the code is their sign."""

    positions: Tensor

    def __init__(
        self, frames: int, dimensions: int, bits: int, hidden: int, layers: int, drop_path: float, tied: bool
    ) -> None:
        super().__init__()
        self.patch_embed = nn.Linear(dimensions, hidden)
        self.register_buffer("positions", sinusoidal_positions(frames, hidden), persistent=False)
        # Later blocks are left out more often.
        rates = torch.linspace(0, drop_path, layers).tolist()
        self.blocks = nn.Sequential(*(BidirectionalBlock(hidden, tied, rate) for rate in rates))
        self.norm = nn.LayerNorm(hidden, EPSILON)
        self.head = nn.Linear(hidden, hidden)
        xavier(self)
        self.hash = HashLayer(hidden, bits)

    def tokens(self, videos: Tensor) -> Tensor:
        """A token of every frame, (B, T, H)."""
        embedded: Tensor = self.patch_embed(videos)
        return embedded + self.positions

    def hidden(self, tokens: Tensor) -> Tensor:
        """Hidden states of some of the tokens of a video, in temporal order: (B, V, H) → (B, V, H)."""
        states: Tensor = self.head(self.norm(self.blocks(tokens)))
        return states

    def forward(self, videos: Tensor) -> Tensor:
        codes: Tensor = self.hash(self.hidden(self.tokens(videos)))
        return codes.mean(dim=1)

    def inference_module(self) -> nn.Module:
        """The same function for encoding, faster."""
        return InferenceS5vh(self)


class Decoder(nn.Module):
    """Codes of the visible frames → features of the hidden ones."""

    positions: Tensor

    def __init__(self, frames: int, dimensions: int, bits: int, width: int, layers: int, tied: bool) -> None:
        super().__init__()
        self.register_buffer("positions", sinusoidal_positions(frames, width), persistent=False)
        self.blocks = nn.Sequential(*(BidirectionalBlock(width, tied) for _ in range(layers)))
        self.norm = nn.LayerNorm(width, EPSILON)
        self.head = nn.Linear(width, dimensions)
        xavier(self)
        self.embed = nn.Linear(bits, width, bias=False)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        nn.init.trunc_normal_(self.mask_token, std=MASK_DEVIATION, a=-MASK_DEVIATION, b=MASK_DEVIATION)

    def forward(self, codes: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """(B, V, K) and the numbers (B, V) and (B, M) of the frames, in temporal order → (B, M, D).

        All visible tokens come before the hidden ones: the scan has seen every code when it comes to them.
        """
        content = torch.cat([self.embed(codes), self.mask_token.expand(*hidden.shape, -1)], dim=1)
        states = self.blocks(content + self.positions[torch.cat([visible, hidden], dim=1)])
        restored: Tensor = self.head(self.norm(states[:, visible.shape[1] :]))
        return restored


class View(NamedTuple):
    """What the network makes of the visible frames of a video."""

    codes: Tensor
    """Relaxed codes (B, K): means of the frames' codes."""
    clusters: Tensor
    """The classifier's outputs (B, C)."""
    restored: Tensor
    """The hidden frames (B, M, D)."""


class S5vhNetwork(nn.Module):
    """The encoder; for training a decoder that restores hidden frames, and a classifier of clusters."""

    def __init__(self, encoder: Encoder, decoder: Decoder, classifier: nn.Linear) -> None:
        super().__init__()
        self.encoder, self.decoder, self.classifier = encoder, decoder, classifier

    def forward(self, tokens: Tensor, visible: Tensor, hidden: Tensor) -> View:
        """Tokens of all frames (B, T, H), and which frames are visible (B, V) and hidden (B, M)."""
        codes = self.encoder.hash(self.encoder.hidden(take(tokens, visible)))
        relaxed = codes.mean(dim=1)
        return View(relaxed, self.classifier(relaxed), self.decoder(codes, visible, hidden))


def xavier(module: nn.Module) -> None:
    """Draw all linear maps as the authors do, Mamba's too: Xavier uniform weights, biases of 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
