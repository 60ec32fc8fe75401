"""MC-MLP: one MLP-Mixer layer whose branches gate at several ranges (Hao et al., ACM MM 2022).

The same skeleton without branches is MLP-Mixer (Tolstikhin et al., NeurIPS 2021) without its LayerNorm.
Shapes: B videos, T frames, D features, H hidden channels, K bits.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.learning.layers import Dropout

from .gates import LongRangeGate, MiddleRangeGate, ShortRangeGate
from .inference import InferenceMcMlp

Branch = Literal["long", "middle", "short"]
DROPOUT = 0.5


class Branches(nn.Module):
    """The sum of self-gating branches: each mixes the axis n, gates the axis c, and mixes n again."""

    def __init__(self, branches: Sequence[Branch], mixed: int, positions: int, reduction: int, groups: int) -> None:
        super().__init__()
        reduced = max(1, positions // reduction)
        gates: dict[str, nn.Module] = {}
        for branch in branches:
            if branch == "long":
                gates[branch] = LongRangeGate(positions, reduced)
            elif branch == "middle":
                gates[branch] = MiddleRangeGate(positions, reduced, groups, mixed)
            else:
                gates[branch] = ShortRangeGate(positions, reduced, groups)
        self.gates = nn.ModuleDict(gates)
        self.mix = nn.ModuleDict({branch: nn.Linear(mixed, mixed) for branch in branches})
        self.remix = nn.ModuleDict({branch: nn.Linear(mixed, mixed) for branch in branches})

    def forward(self, x: Tensor) -> Tensor:
        """(B, c, n) → (B, c, n)."""
        parts = [
            remix((mixed := mix(x)) * gate(mixed))
            for mix, gate, remix in zip(self.mix.values(), self.gates.values(), self.remix.values(), strict=True)
        ]
        return torch.stack(parts).sum(dim=0)


def mlp(size: int) -> nn.Sequential:
    """size → 2·size → size, exact GELU, dropout after both."""
    return nn.Sequential(
        nn.Linear(size, 2 * size), nn.GELU(), Dropout(DROPOUT), nn.Linear(2 * size, size), Dropout(DROPOUT)
    )


class McMlp(nn.Module):
    """Frame features (B, T, D) → relaxed codes (B, K) in (−1, 1).

    This is the plain definition; training runs the same function as `training_pass` lays it out, encoding as
    `inference` does.
    """

    alpha: Tensor

    def __init__(self, frames: int, dimensions: int, bits: int, hidden: int, branches: Sequence[Branch]) -> None:
        super().__init__()
        self.project = nn.Linear(dimensions, hidden)
        self.token_mlp = mlp(frames)
        self.channel_mlp = mlp(hidden)
        if branches:
            groups = max(1, hidden // 16)
            self.token_branches = Branches(branches, hidden, frames, 4, 1)
            self.channel_branches = Branches(branches, frames, hidden, 16, groups)
            self.output_branches = Branches(branches, frames, hidden, 16, groups)
        self.has_branches = bool(branches)
        self.binary = nn.Linear(hidden, bits)
        # Steepness of the tanh; grows while training and stays with the encoder.
        self.register_buffer("alpha", torch.ones(()))

    def frames(self, videos: Tensor) -> Tensor:
        """Frame embeddings (B, T, H)."""
        x = functional.relu(self.project(videos))
        mixed = self.token_mlp(x.transpose(1, 2)).transpose(1, 2)
        # Here n = H and c = T: (B, T, H) is the (B, c, n) that the branches take.
        x = x + (self.token_branches(mixed) if self.has_branches else mixed)
        mixed = self.channel_mlp(x)
        if not self.has_branches:
            return x + mixed
        # Here n = T and c = H.
        x = x + self.channel_branches(mixed.transpose(1, 2)).transpose(1, 2)
        return self.output_branches(x.transpose(1, 2)).transpose(1, 2)

    def forward(self, videos: Tensor) -> Tensor:
        return self.relaxed(self.frames(videos))

    def relaxed(self, frames: Tensor) -> Tensor:
        """Relaxed codes (B, K) of frame embeddings (B, T, H)."""
        return torch.tanh(self.alpha * self.binary(frames)).mean(dim=1)

    def inference_module(self) -> nn.Module:
        """The same function for encoding, faster."""
        return InferenceMcMlp(self)
