"""The losses of MCMSH (Hao et al., ACM MM 2022). B videos, T frames, H channels, K bits."""

import torch
from torch import Tensor
from torch.nn import functional


def sign(relaxed: Tensor) -> Tensor:
    """The codes of relaxed codes, 0 counting as +1; the gradient passes as if this were clamp to [−1, 1]."""
    clamped = relaxed.clamp(-1, 1)
    return clamped + (torch.where(relaxed >= 0, 1.0, -1.0) - clamped).detach()


def quantisation_loss(first: Tensor, second: Tensor) -> Tensor:
    """(Σ‖h_i − b_i‖² + Σ‖h_j − b_j‖²) / (B·K), b the sign of h."""
    return ((first - sign(first)).square().sum() + (second - sign(second)).square().sum()) / first.numel()


def quadruplet_loss(anchor: Tensor, similar: Tensor, dissimilar1: Tensor, dissimilar2: Tensor) -> Tensor:
    """Σ [K/4 + d(i, p)² − d(i, q1)²]₊ + [K/64 + d(i, p)² − d(q1, q2)²]₊, over B; relaxed codes (B, K).

    d is torch's pairwise_distance, which adds 1e-6 to every difference.
    """
    bits = anchor.shape[1]
    near = functional.pairwise_distance(anchor, similar).square()
    far = functional.pairwise_distance(anchor, dissimilar1).square()
    between = functional.pairwise_distance(dissimilar1, dissimilar2).square()
    return (functional.relu(bits / 4 + near - far) + functional.relu(bits / 64 + near - between)).mean()
