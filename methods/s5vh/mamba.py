"""Mamba (Gu and Dao, 2023) as mamba-ssm 2.0.4 defines it, and S5VH's bidirectional block of it.

Shapes: B sequences, L tokens, W channels, E = 2·W inner channels, S states.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..shared.transformer import EPSILON
from .scan import STATES, Scan

KERNEL = 4
EXPANSION = 2
CHANNELS_A_RANK = 16
STEPS = 1e-3, 0.1
SMALLEST_STEP = 1e-4


def draw_step_biases(network: nn.Module) -> None:
    """Biases that make the first step sizes log-uniform between 0.001 and 0.1, as in mamba-ssm."""
    smallest, largest = map(math.log, STEPS)
    for module in network.modules():
        if isinstance(module, Mamba):
            steps = torch.empty_like(module.dt_proj.bias).uniform_(smallest, largest).exp().clamp(min=SMALLEST_STEP)
            with torch.no_grad():
                # The inverse of softplus.
                module.dt_proj.bias.copy_(steps + (-torch.expm1(-steps)).log())


class CausalConvolution(nn.Conv1d):
    """A convolution over each token and the three before it, zeros before the first; (B, L, E) as given.

    It is depthwise, or mixes as many channels as there are in a group.
    """

    def __init__(self, channels: int, channels_a_group: int = 1, *, bias: bool = True) -> None:
        super().__init__(channels, channels, KERNEL, groups=channels // channels_a_group, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x, (0, 0, KERNEL - 1, 0))
        return super().forward(padded.transpose(1, 2)).transpose(1, 2)


class Mamba(nn.Module):
    """A selective state space over a sequence, (B, L, W) → (B, L, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = EXPANSION * width
        self.rank = math.ceil(width / CHANNELS_A_RANK)
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.convolution = CausalConvolution(inner)
        self.x_proj = nn.Linear(inner, self.rank + 2 * STATES, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner)
        self.scan = Scan(inner)
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        u, gate = self.in_proj(x).chunk(2, dim=-1)
        u = functional.silu(self.convolution(u))
        seed, enter, leave = self.x_proj(u).split([self.rank, STATES, STATES], dim=-1)
        steps = functional.softplus(self.dt_proj(seed))
        mixed: Tensor = self.out_proj(self.scan(u, steps, enter, leave) * functional.silu(gate))
        return mixed


class DropPath(nn.Module):
    """A filter of the sequences that a block sees while training: each is left out with probability `p`."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def kept(self, x: Tensor) -> Tensor | None:
        """Numbers of the sequences of x (B, L, W) that are kept; None: all."""
        if not self.training or self.p == 0:
            return None
        # Drawn by the processor's generator: the same on all devices.
        return (torch.rand(len(x)) >= self.p).nonzero().squeeze(1).to(x.device)


class BidirectionalBlock(nn.Module):
    """x + M(norm(x)) + reversed(M′(norm′(reversed(x)))), (B, L, W) → (B, L, W); M′ is M where they are tied.

    Drop-path leaves out what is added, and divides by 1 − p where it does not; what is left out is not computed.
    """

    def __init__(self, width: int, tied: bool, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width, EPSILON) for _ in range(2))
        self.mambas = nn.ModuleList(Mamba(width) for _ in range(1 if tied else 2))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        kept = self.drop_path.kept(x)
        if kept is None:
            return x + self.added(x)
        return x.index_add(0, kept, self.added(x[kept]) / (1 - self.drop_path.p))

    def added(self, x: Tensor) -> Tensor:
        """The update that the block adds to x."""
        directions = [norm(way) for norm, way in zip(self.norms, (x, x.flip(1)), strict=True)]
        if len(self.mambas) == 1:
            directions = [torch.cat(directions)]
        mixed = [mamba(way) for mamba, way in zip(self.mambas, directions, strict=True)]
        onward, back = torch.cat(mixed).chunk(2)
        return onward + back.flip(1)
