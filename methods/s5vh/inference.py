"""S5VH's encoder as encoding runs it: the function of `S5vhEncoder` in evaluation mode, with less work.

Equal in exact arithmetic, and to rounding in practice (tested):
- LayerNorm's gain and shift are folded into the matrices after it, the positions into the bias of the projection.
- The two directions are added before their common last matrix. The backward one reads the frames from last to first.
- Without an activation between them, `head` and the hash layer's matrix are one.
- On a processor convolution and scan are compiled loops. On GPUs, and where PyTorch traces, they are its operators.

Matrices are merged in double precision. Shapes as in `network` and `mamba`.
"""

from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.base.processes import threads
from bench.learning.layers import ChannelProduct

from ..shared.kernels import LOG2_E, by_kernel, convolve, scan

if TYPE_CHECKING:
    from .mamba import BidirectionalBlock, Mamba
    from .network import S5vhEncoder


class InferenceS5vh(nn.Module):
    """Frame features (B, T, D) → mean frame codes (B, K) in [−1, 1], float32."""

    positions: Tensor

    def __init__(self, encoder: "S5vhEncoder") -> None:
        super().__init__()
        self.project = ChannelProduct(encoder.project.weight)
        self.register_buffer("positions", (encoder.positions + encoder.project.bias).detach())
        blocks: list[Any] = list(encoder.blocks)
        self.blocks = nn.ModuleList(map(InferenceBlock, blocks))
        weight, bias = folded(encoder.head.weight, encoder.norm, encoder.head.bias)
        linear = encoder.hash.linear
        last = linear.weight.detach().double()
        self.hash = ChannelProduct(last @ weight, last @ bias + linear.bias.detach().double())
        self.norm = nn.LayerNorm(len(last), encoder.hash.norm.eps)
        self.norm.load_state_dict(encoder.hash.norm.state_dict())
        self.standardise = standardised(encoder.norm)

    def forward(self, videos: Tensor) -> Tensor:
        # −1 where the output is 0.
        return ((self.logits(videos) > 0).float() * 2 - 1).mean(dim=1)

    def logits(self, videos: Tensor) -> Tensor:
        """Outputs whose signs are the codes of the frames, (B, T, K)."""
        x = self.project(videos) + self.positions
        traced = torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[attr-defined, no-untyped-call]
        if traced or x.device.type != "cpu":
            for block in self.blocks:
                x = block(x, None)
        else:
            with threads(torch.get_num_threads()) as workers:
                for block in self.blocks:
                    x = block(x, workers)
        logits: Tensor = self.norm(self.hash(self.standardise(x)))
        return logits


class InferenceBlock(nn.Module):
    """A bidirectional block, (B, T, W) → (B, T, W)."""

    def __init__(self, block: "BidirectionalBlock") -> None:
        super().__init__()
        mambas: list[Any] = list(block.mambas)
        norms: list[Any] = list(block.norms)
        self.tied = len(mambas) == 1
        self.standardise = standardised(norms[0])
        self.onward = Direction(mambas[0], norms[0], backward=False)
        self.back = Direction(mambas[-1], norms[1], backward=True)
        self.leave = nn.ModuleList(ChannelProduct(mamba.out_proj.weight) for mamba in mambas)

    def forward(self, x: Tensor, workers: Executor | None) -> Tensor:
        frames = self.standardise(x)
        mixed = [self.onward(frames, workers), self.back(frames, workers)]
        if self.tied:
            mixed = [mixed[0] + mixed[1]]
        for product, way in zip(self.leave, mixed, strict=True):
            x = x + product(way)
        return x


class Direction(nn.Module):
    """Mamba without its last matrix, of frames (B, T, W) that only lack the gain and shift of their LayerNorm."""

    weight: Tensor
    bias: Tensor
    rates: Tensor
    skip: Tensor

    def __init__(self, mamba: "Mamba", norm: nn.LayerNorm, backward: bool) -> None:
        super().__init__()
        self.backward, self.rank = backward, mamba.rank
        self.enter = ChannelProduct(*folded(mamba.in_proj.weight, norm))
        self.seed = ChannelProduct(mamba.x_proj.weight)
        self.step = ChannelProduct(mamba.dt_proj.weight, mamba.dt_proj.bias)
        self.register_buffer("weight", mamba.convolution.weight.detach()[:, 0].T.contiguous())
        assert mamba.convolution.bias is not None
        self.register_buffer("bias", mamba.convolution.bias.detach().clone())
        self.register_buffer("rates", -mamba.scan.log_rates.detach().T.exp())
        self.register_buffer("skip", mamba.scan.skip.detach().clone())

    def forward(self, frames: Tensor, workers: Executor | None) -> Tensor:
        projected = self.enter(frames)
        if workers is None:
            return self._by_operators(projected.flip(1)).flip(1) if self.backward else self._by_operators(projected)
        tables = [(self.weight, self.bias), (self.rates * float(LOG2_E), self.skip)]
        u = by_kernel(workers, convolve, [projected], tables[0], self.backward)
        seeds = self.seed(u)
        return by_kernel(
            workers, scan, [u, self.step(seeds[..., : self.rank]), seeds, projected], tables[1], self.backward
        )

    def _by_operators(self, projected: Tensor) -> Tensor:
        """The same from the projections (B, T, 2·E) on, read in their order."""
        u, gate = projected.chunk(2, dim=-1)
        padded = functional.pad(u, (0, 0, len(self.weight) - 1, 0))
        taps = [tap * padded[:, k : k + u.shape[1]] for k, tap in enumerate(self.weight)]
        u = functional.silu(sum(taps, self.bias))
        seeds = self.seed(u)
        steps = functional.softplus(self.step(seeds[..., : self.rank]).float())
        enter, leave = seeds[..., self.rank :].float().chunk(2, dim=-1)
        decays = (steps[:, :, None] * self.rates).exp().unbind(1)
        entering = (enter[..., None] * (steps * u)[:, :, None]).unbind(1)
        states = [entering[0]]
        for decay, new in zip(decays[1:], entering[1:], strict=True):
            states.append(decay * states[-1] + new)
        scanned = (leave[:, :, None] @ torch.stack(states, dim=1)).squeeze(2)
        return ((scanned + self.skip * u) * functional.silu(gate)).to(projected.dtype)


def standardised(norm: nn.LayerNorm) -> nn.LayerNorm:
    """A LayerNorm without gain and shift."""
    return nn.LayerNorm(norm.normalized_shape, norm.eps, elementwise_affine=False)


def folded(weight: Tensor, norm: nn.LayerNorm, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """W and b of a linear layer with the gain and shift of the LayerNorm before it, in double precision."""
    doubled = weight.detach().double()
    shift = doubled @ norm.bias.detach().double()
    return doubled * norm.weight.detach().double(), shift if bias is None else shift + bias.detach().double()
