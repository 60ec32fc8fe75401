"""Losses shared by methods. B videos, T frames, H channels, K bits."""

from torch import Tensor


def cluster_loss(first: Tensor, second: Tensor, centre_first: Tensor, centre_second: Tensor) -> Tensor:
    """(Σ‖mean_T e_i − c_i‖² + Σ‖mean_T e_j − c_j‖²) / (H·B), for frame embeddings (B, T, H) and centres (B, H)."""
    distance_first = (first.mean(dim=1) - centre_first).square().sum()
    distance_second = (second.mean(dim=1) - centre_second).square().sum()
    return (distance_first + distance_second) / centre_first.numel()


def similarity_loss(first: Tensor, second: Tensor, signs: Tensor) -> Tensor:
    """Σ (s − ⟨h_i, h_j⟩ / K)² / B, for relaxed codes (B, K) and s = ±1 (B,)."""
    return (signs - (first * second).mean(dim=1)).square().mean()
