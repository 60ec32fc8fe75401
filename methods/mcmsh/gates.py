"""The self-gating modules of MC-MLP: long, middle and short range (Hao et al., ACM MM 2022)."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class LongRangeGate(nn.Module):
    """L-RD: one gate value a position, from the average over the whole mixed axis. (B, c, n) → (B, c, 1)."""

    def __init__(self, positions: int, reduced: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(positions, reduced, bias=False)
        self.reduce_norm = nn.BatchNorm1d(reduced)
        self.expand = nn.Linear(reduced, positions, bias=False)
        self.expand_norm = nn.BatchNorm1d(positions)
        nn.init.normal_(self.reduce.weight, std=0.001)
        nn.init.normal_(self.expand.weight, std=0.001)

    def forward(self, x: Tensor) -> Tensor:
        reduced = functional.relu(self.reduce_norm(self.reduce(x.mean(dim=2))))
        return torch.sigmoid(self.expand_norm(self.expand(reduced))).unsqueeze(2)


class ShortRangeGate(nn.Module):
    """S-RD: convolutions of width 3 along the mixed axis. (B, c, n) → (B, c, n)."""

    def __init__(self, positions: int, reduced: int, groups: int) -> None:
        super().__init__()
        self.reduce = nn.Conv1d(positions, reduced, 3, padding=1, groups=groups, bias=False)
        self.reduce_norm = nn.BatchNorm1d(reduced)
        self.expand = nn.Conv1d(reduced, positions, 3, padding=1, groups=groups, bias=False)
        self.expand_norm = nn.BatchNorm1d(positions)
        nn.init.kaiming_normal_(self.reduce.weight, mode="fan_out")
        nn.init.xavier_normal_(self.expand.weight)

    def forward(self, x: Tensor) -> Tensor:
        reduced = functional.relu(self.reduce_norm(self.reduce(x)))
        return torch.sigmoid(self.expand_norm(self.expand(reduced)))


class MiddleRangeGate(ShortRangeGate):
    """M-RD: the same convolutions on the mixed axis pooled to a third. (B, c, n) → (B, c, n)."""

    pool: Tensor
    unpool: Tensor

    def __init__(self, positions: int, reduced: int, groups: int, mixed: int) -> None:
        super().__init__(positions, reduced, groups)
        pooled = max(1, mixed // 3)
        self.pooled, self.mixed = pooled, mixed
        # The pooling as matrices, for training: adaptive pooling has no deterministic gradient on CUDA.
        self.register_buffer("pool", pooling_matrix(mixed, pooled), persistent=False)
        self.register_buffer("unpool", pooling_matrix(pooled, mixed), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = super().forward(functional.adaptive_avg_pool1d(x, self.pooled))
        return functional.adaptive_avg_pool1d(gate, self.mixed)


def pooling_matrix(size: int, pooled: int) -> Tensor:
    """Adaptive average pooling of `size` to `pooled` positions as a matrix (size, pooled)."""
    return functional.adaptive_avg_pool1d(torch.eye(size).unsqueeze(0), pooled).squeeze(0)
