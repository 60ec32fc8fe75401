"""Grade-Net: which frames a view keeps, drawn by learned grades against the network's aim (Lian et al., CVPR 2025).

No loss of the authors' code trains it; `sampler="grade"` defines how. Shapes: B videos, T frames, H channels.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

TEMPERATURE = 0.5
TINY = 1e-20


class GradeNet(nn.Module):
    """Tokens (B, T, H) → grades of the frames in (0, 1), (B, T)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.norm = nn.LayerNorm(hidden)
        self.grade = nn.Linear(hidden, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.sigmoid(self.grade(tokens + self.norm(self.mlp(tokens)))).squeeze(2)


class Kept(NamedTuple):
    """The S frames that are kept of every video."""

    frames: Tensor
    """(B, S) int64, in temporal order."""
    tokens: Tensor
    """(B, S, H)."""


def keep_frames(tokens: Tensor, grades: Tensor, noise: Tensor, kept: int) -> Kept:
    """The `kept` frames with the best noisy grades.

    Noisy grades are standardised over the batch; p is their softmax over the frames. A gradient G of the kept tokens
    reaches the tokens as it is, and p reversed: −⟨G, token⟩ at a kept frame.

    Args:
        tokens: (B, T, H).
        grades: (B, T).
        noise: (B, T), as `draw_noise` has it.
        kept: S, 1 to T.
    """
    noisy = grades + noise
    probability = ((noisy - noisy.mean()) / noisy.std() / TEMPERATURE).softmax(dim=1)
    frames = probability.topk(kept, dim=1).indices.sort(dim=1).values
    chosen = torch.take_along_dim(tokens, frames.unsqueeze(2), dim=1)
    chance = torch.take_along_dim(probability, frames, dim=1).unsqueeze(2)
    # Adds nothing but the gradient of p.
    return Kept(frames, chosen + chosen.detach() * (chance.detach() - chance))


def noise_of(uniform: Tensor, normal: Tensor, deviation: float) -> Tensor:
    """Gumbel noise of uniform numbers in [0, 1), and normal noise of a standard deviation; all (B, T)."""
    return -torch.log(-torch.log(uniform + TINY) + TINY) + deviation * normal
