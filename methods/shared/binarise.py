"""The hash layer of masked auto-encoders (ConMH, Wang et al., AAAI 2023). Shapes: H channels, K bits."""

from torch import Tensor, nn
from torch.nn import functional


def binarise(logits: Tensor) -> Tensor:
    """Codes ±1 of real numbers of any shape: 2·round(clip((z + 1)/2, 0, 1)) − 1, so that z = 0 gives −1.

    The gradient passes unchanged where −1 < z ≤ 1, and is 0 elsewhere.
    """
    # At its limits relu passes no gradient, clamp does.
    soft = functional.relu((logits + 1) / 2).clamp(max=1)
    return 2 * (soft + (soft.round() - soft).detach()) - 1


class HashLayer(nn.Module):
    """(..., H) → codes ±1 (..., K): a linear layer, normalised over its bits, binarised."""

    def __init__(self, hidden: int, bits: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, bits)
        self.norm = nn.LayerNorm(bits)

    def logits(self, x: Tensor) -> Tensor:
        """The values to binarise: (..., H) → (..., K)."""
        normalised: Tensor = self.norm(self.linear(x))
        return normalised

    def forward(self, x: Tensor) -> Tensor:
        return binarise(self.logits(x))
