"""The debiased contrastive loss of two views (Chuang et al., NeurIPS 2020). Shapes: B videos, K bits."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def debiased_contrastive(first: Tensor, second: Tensor, temperature: float, tau_plus: float) -> Tensor:
    """`debiased_contrastive_of_units` of the codes of two views (B, K), normalised to unit length."""
    return debiased_contrastive_of_units(
        functional.normalize(first), functional.normalize(second), temperature, tau_plus
    )


def debiased_contrastive_of_units(first: Tensor, second: Tensor, temperature: float, tau_plus: float) -> Tensor:
    """Mean over the 2·B rows of −log(pos / (pos + g)), for the unit vectors of two views (B, K).

    With t the temperature: pos = exp(⟨z, z′⟩/t) of a row and its partner, the other view of the same video; neg = the
    sum of exp(⟨z, z_j⟩/t) over the N = 2·B − 2 rows of other videos, of which a share τ⁺ is taken to be of the same
    class: g = max((neg − τ⁺·N·pos) / (1 − τ⁺), N·exp(−1/t)).
    """
    rows = torch.cat([first, second])
    batch, others = len(first), len(rows) - 2
    positive = ((first * second).sum(dim=1) / temperature).exp().repeat(2)
    same_video = torch.eye(batch, dtype=torch.bool, device=rows.device).repeat(2, 2)
    # Small, and the exponential would blow up what bfloat16 rounds.
    with torch.autocast(rows.device.type, enabled=False):
        products = rows @ rows.T
    negative = (products / temperature).exp().masked_fill(same_video, 0).sum(dim=1)
    debiased = (negative - tau_plus * others * positive) / (1 - tau_plus)
    debiased = debiased.clamp(min=others * math.exp(-1 / temperature))
    return (1 + debiased / positive).log().mean()
