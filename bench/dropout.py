"""Dropout with cheap random numbers: torch draws one Bernoulli number an element, which dominates training on a CPU."""

import torch
from torch import Tensor, nn

LEVELS = 2**16


class Dropout(nn.Module):
    """Zero each element with probability `p` and scale the others by 1/(1 − p) while training.

    On a CPU each 64-bit random word decides four elements, so `p` is exact to 1/65536.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return nn.functional.dropout(x, self.p)
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        # int16 runs from −32768 to 32767.
        threshold = round(self.p * LEVELS) - LEVELS // 2
        kept = words.view(torch.int16)[: x.numel()].view(x.shape) >= threshold
        return x * kept.to(x.dtype).mul_(1 / (1 - self.p))
