"""Grade-Net: learned grades choose the frames of a view, against the network's aim (Lian et al., CVPR 2025).

No loss of the authors' code trains it; `GradedAutoencoder` says how ours does. Shapes: B videos, T frames, H channels.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..shared.views import take

TEMPERATURE = 0.5
TINY = np.float32(1e-20)


class GradeNet(nn.Module):
    """Tokens (B, T, H) → grades of the frames in (0, 1), (B, T)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.norm = nn.LayerNorm(hidden)
        self.grade = nn.Linear(hidden, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.sigmoid(self.grade(tokens + self.norm(self.mlp(tokens)))).squeeze(2)


class Choice(NamedTuple):
    """The V frames that a view sees of every video."""

    visible: Tensor
    """(B, V) int64, in temporal order."""
    hidden: Tensor
    """(B, T − V) int64, the others, in no order that matters."""
    tokens: Tensor
    """(B, V, H), of the visible frames."""


def choose_frames(tokens: Tensor, grades: Tensor, noise: Tensor, visible: int) -> Choice:
    """The frames with the `visible` best noisy grades.

    Noisy grades are standardised over the batch; p is their softmax over the frames. A gradient G of the chosen tokens
    reaches `tokens` as it is, and p reversed: −⟨G, token⟩ at a chosen frame.

    Args:
        tokens: (B, T, H).
        grades: (B, T).
        noise: (B, T), of `sampling_noise`.
        visible: V, 1 to T.
    """
    noisy = grades + noise
    probability = ((noisy - noisy.mean()) / noisy.std() / TEMPERATURE).softmax(dim=1)
    ranked = probability.argsort(dim=1, descending=True)
    seen = ranked[:, :visible].sort(dim=1).values
    chosen, chance = take(tokens, seen), take(probability.unsqueeze(2), seen)
    # The difference is 0; it has the gradient of −p.
    return Choice(seen, ranked[:, visible:], chosen + chosen.detach() * (chance.detach() - chance))


def sampling_noise(uniform: NDArray[np.float32], normal: NDArray[np.float32], deviation: float) -> NDArray[np.float32]:
    """Gumbel noise from uniform numbers in [0, 1), plus normal noise of a standard deviation; all of one shape."""
    gumbel = -np.log(-np.log(uniform + TINY) + TINY)
    return gumbel + np.float32(deviation) * normal
