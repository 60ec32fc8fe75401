"""MC-MLP as encoding runs it: the function of `McMlp` in evaluation mode, with fewer and larger products.

Equal in exact arithmetic, and to rounding in practice (tested):
- Batch normalisation is folded into the matrix before it.
- A gate of the long range is one number a gated position, so it commutes with the mix after it: both mixes of that
  branch become one matrix. The mean that its gate takes is a product with the mean row of the mix.
- Pooling is linear: what the middle range's gate takes is a product with the pooled rows of the mix.
- What the branches take from their shared input along the frames is one stacked matrix.
- Frames come first, (T, B, H), so that mixing over frames is one product without a transposition, and the narrow
  convolutions are products too (grouped ones with a block-diagonal matrix).

Matrices are merged in double precision. Shapes as in `mixer`; W (S, C) and b (S,) are a matrix and its bias.
"""

from functools import reduce
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.learning.layers import ChannelProduct, FrameProduct

from .gates import LongRangeGate, MiddleRangeGate, ShortRangeGate

if TYPE_CHECKING:
    from .mixer import Branches, McMlp

FRAMES, CHANNELS = 0, 2
"""Axes of (T, B, H)."""
Affine = tuple[Tensor, Tensor]
"""W and b, in double precision."""


class InferenceMcMlp(nn.Module):
    """Frame features (B, T, D) → relaxed codes (B, K) in (−1, 1), float32."""

    alpha: Tensor

    def __init__(self, network: "McMlp") -> None:
        super().__init__()
        self.project = _product(affine(network.project), CHANNELS)
        self.token_mlp = _mlp(network.token_mlp, FRAMES)
        self.channel_mlp = _mlp(network.channel_mlp, CHANNELS)
        self.has_branches = network.has_branches
        if network.has_branches:
            self.token_branches = InferenceBranches(network.token_branches, CHANNELS)
            self.channel_branches = InferenceBranches(network.channel_branches, FRAMES)
            self.output_branches = InferenceBranches(network.output_branches, FRAMES)
        self.binary = _product(affine(network.binary), CHANNELS)
        self.register_buffer("alpha", network.alpha.detach().clone())

    def forward(self, videos: Tensor) -> Tensor:
        x = functional.relu(self.project(videos)).transpose(0, 1).contiguous()
        mixed = self.token_mlp(x)
        x = x + (self.token_branches(mixed) if self.has_branches else mixed)
        mixed = self.channel_mlp(x)
        x = self.output_branches(x + self.channel_branches(mixed)) if self.has_branches else x + mixed
        return torch.tanh(self.alpha * self.binary(x).float()).mean(dim=0)


class InferenceBranches(nn.Module):
    """The sum of the branches, (T, B, H) → (T, B, H); each mixes along the axis `mixed` and gates along the other."""

    def __init__(self, branches: "Branches", mixed: int) -> None:
        super().__init__()
        parts = [
            _branch(gate, affine(mix), affine(remix), mixed)
            for gate, mix, remix in zip(
                branches.gates.values(), branches.mix.values(), branches.remix.values(), strict=True
            )
        ]
        self.branches = nn.ModuleList(branch for branch, _ in parts)
        self.counts = [len(taken) for _, taken in parts]
        self.taken = Taken([pair for _, taken in parts for pair in taken], mixed)

    def forward(self, x: Tensor) -> Tensor:
        taken = iter(self.taken(x))
        outputs = [
            branch(*(next(taken) for _ in range(count)))
            for branch, count in zip(self.branches, self.counts, strict=True)
        ]
        return reduce(torch.add, outputs)


class Taken(nn.Module):
    """Several products of one input: along the frames stacked as one, whose parts then still lie together."""

    def __init__(self, pairs: list[Affine], axis: int) -> None:
        super().__init__()
        self.sizes = [len(weight) for weight, _ in pairs] if axis == FRAMES else None
        if axis == FRAMES:
            weights, biases = zip(*pairs, strict=True)
            pairs = [(torch.cat(weights), torch.cat(biases))]
        self.products = nn.ModuleList(_product(pair, axis) for pair in pairs)

    def forward(self, x: Tensor) -> list[Tensor]:
        products = [product(x) for product in self.products]
        return products if self.sizes is None else list(products[0].split(self.sizes))


class LongRangeBranch(nn.Module):
    """Takes x mixed twice, and the mean over the mixed axis of x mixed once."""

    bias: Tensor

    def __init__(self, gate: LongRangeGate, bias: Tensor, gated: int) -> None:
        super().__init__()
        self.reduce = _product(normalised(gate.reduce.weight, gate.reduce_norm), gated)
        self.expand = _product(normalised(gate.expand.weight, gate.expand_norm), gated)
        self.register_buffer("bias", bias.float() if gated == FRAMES else bias.float()[:, None, None])

    def forward(self, remixed: Tensor, mean: Tensor) -> Tensor:
        gate = torch.sigmoid(self.expand(functional.relu(self.reduce(mean))))
        return torch.addcmul(self.bias, remixed, gate)


class ShortRangeBranch(nn.Module):
    """Takes x mixed."""

    def __init__(self, gate: ShortRangeGate, remix: Affine, gated: int) -> None:
        super().__init__()
        self.gate = ConvolutionGate(gate, gated)
        self.remix = _product(remix, _other(gated))

    def forward(self, mixed: Tensor) -> Tensor:
        remixed: Tensor = self.remix(mixed * self.gate(mixed))
        return remixed


class MiddleRangeBranch(nn.Module):
    """Takes x mixed, and x mixed and pooled."""

    def __init__(self, gate: MiddleRangeGate, remix: Affine, gated: int) -> None:
        super().__init__()
        self.gate = ConvolutionGate(gate, gated)
        self.unpool = _product((gate.unpool.T, None), _other(gated))
        self.remix = _product(remix, _other(gated))

    def forward(self, mixed: Tensor, pooled: Tensor) -> Tensor:
        remixed: Tensor = self.remix(mixed * self.unpool(self.gate(pooled)))
        return remixed


class ConvolutionGate(nn.Module):
    """Two convolutions of width 3 along the mixed axis, as products along the gated one and shifts."""

    def __init__(self, gate: ShortRangeGate, gated: int) -> None:
        super().__init__()
        self.gated, self.mixed = gated, _other(gated)
        weight, shift = normalised(dense(gate.reduce).flatten(1), gate.reduce_norm)
        zero = torch.zeros_like(shift)
        weight = torch.cat(weight.chunk(3, dim=1))
        self.reduce = _product((weight, torch.cat([zero, shift, zero])), gated)
        self.expand = _product(normalised(dense(gate.expand).flatten(1), gate.expand_norm), gated)

    def forward(self, x: Tensor) -> Tensor:
        before, here, after = self.reduce(x).chunk(3, dim=self.gated)
        reduced = functional.relu(here + self._later(before) + self._earlier(after))
        neighbours = torch.cat([self._later(reduced), reduced, self._earlier(reduced)], dim=self.gated)
        return torch.sigmoid(self.expand(neighbours))

    def _later(self, x: Tensor) -> Tensor:
        """Moved one place up the mixed axis, a zero moving in."""
        kept = x.narrow(self.mixed, 0, x.shape[self.mixed] - 1)
        return functional.pad(kept, (0, 0, 0, 0, 1, 0) if self.mixed == FRAMES else (1, 0))

    def _earlier(self, x: Tensor) -> Tensor:
        """Moved one place down the mixed axis, a zero moving in."""
        kept = x.narrow(self.mixed, 1, x.shape[self.mixed] - 1)
        return functional.pad(kept, (0, 0, 0, 0, 0, 1) if self.mixed == FRAMES else (0, 1))


def affine(layer: nn.Module) -> Affine:
    """A linear layer's W and b."""
    assert isinstance(layer, nn.Linear)
    return layer.weight.detach().double(), layer.bias.detach().double()


def normalised(weight: Tensor, norm: nn.BatchNorm1d) -> Affine:
    """W and b of a product without a bias and the batch normalisation after it, with the running statistics."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    shift = norm.bias.detach().double() - norm.running_mean.double() * scale
    return weight.detach().double() * scale[:, None], shift


def dense(convolution: nn.Conv1d) -> Tensor:
    """The weights of a grouped convolution of width 3, (S, 3, C), with zeros between groups."""
    weight, groups = convolution.weight.detach().double(), convolution.groups
    outputs, inputs, places = weight.shape
    blocks = weight.new_zeros(groups, outputs // groups, places, groups, inputs)
    for group, block in enumerate(weight.chunk(groups)):
        blocks[group, :, :, group] = block.transpose(1, 2)
    return blocks.view(outputs, places, groups * inputs)


def _branch(gate: nn.Module, mix: Affine, remix: Affine, mixed: int) -> tuple[nn.Module, list[Affine]]:
    """A branch, and what it takes from the input along the mixed axis."""
    gated = _other(mixed)
    weight, bias = mix
    if isinstance(gate, LongRangeGate):
        both = (remix[0] @ weight, remix[0] @ bias)
        return LongRangeBranch(gate, remix[1], gated), [
            both,
            (weight.mean(0, keepdim=True), bias.mean(0, keepdim=True)),
        ]
    if isinstance(gate, MiddleRangeGate):
        pool = gate.pool.double().T
        return MiddleRangeBranch(gate, remix, gated), [mix, (pool @ weight, pool @ bias)]
    assert isinstance(gate, ShortRangeGate)
    return ShortRangeBranch(gate, remix, gated), [mix]


def _other(axis: int) -> int:
    return CHANNELS if axis == FRAMES else FRAMES


def _product(pair: tuple[Tensor, Tensor | None], axis: int) -> nn.Module:
    return FrameProduct(*pair) if axis == FRAMES else ChannelProduct(*pair)


def _mlp(layers: nn.Sequential, axis: int) -> nn.Sequential:
    first, activation, _, second, _ = layers
    return nn.Sequential(_product(affine(first), axis), activation, _product(affine(second), axis))
