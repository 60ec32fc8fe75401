"""MC-MLP's forward pass as training runs it: the same function as `McMlp.frames`, laid out for speed.

Frames come first, (T, B, H), so that mixing over frames is one matrix product without a transposition, and the narrow
convolutions of the gates are matrix products too: grouped convolutions as products with a block-diagonal matrix. Sums run
over the same terms, so values and gradients agree with the plain pass to rounding (tested).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .gates import LongRangeGate, MiddleRangeGate, ShortRangeGate
from .mixer import Branches, McMlp


def embed(network: McMlp, videos: Tensor) -> tuple[Tensor, Tensor]:
    """Features (B, T, D) → frame embeddings (B, T, H) and relaxed codes (B, K)."""
    frames = frame_embeddings(network, videos)
    relaxed = torch.tanh(network.alpha * network.binary(frames)).mean(dim=0)
    return frames.transpose(0, 1), relaxed


def frame_embeddings(network: McMlp, videos: Tensor) -> Tensor:
    """Features (B, T, D) → frame embeddings (T, B, H)."""
    x = functional.relu(network.project(videos)).transpose(0, 1).contiguous()
    mixed = _mlp_over_frames(network.token_mlp, x)
    x = x + (_token_branches(network.token_branches, mixed) if network.has_branches else mixed)
    mixed = network.channel_mlp(x)
    if not network.has_branches:
        return x + mixed
    x = x + _channel_branches(network.channel_branches, mixed)
    return _channel_branches(network.output_branches, x)


def _over_frames(weight: Tensor, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """(S, T) weights on the frames of (T, B, H): (S, B, H)."""
    flat = x.flatten(1)
    product = weight @ flat if bias is None else torch.addmm(bias[:, None], weight, flat)
    return product.view(-1, *x.shape[1:])


def _mlp_over_frames(layers: nn.Sequential, x: Tensor) -> Tensor:
    first, activation, dropout, second, last = layers
    assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)  # noqa: PT018
    inner = dropout(activation(_over_frames(first.weight, x, first.bias)))
    mixed: Tensor = last(_over_frames(second.weight, inner, second.bias))
    return mixed


def _token_branches(branches: Branches, x: Tensor) -> Tensor:
    """n = H is mixed, c = T gated."""
    total: Tensor | None = None
    for gate, mix, remix in zip(branches.gates.values(), branches.mix.values(), branches.remix.values(), strict=True):
        part = mix(x)
        gated = part * _token_gate(gate, part)
        total = remix(gated) if total is None else total + remix(gated)
    assert total is not None
    return total


def _channel_branches(branches: Branches, x: Tensor) -> Tensor:
    """n = T is mixed, c = H gated."""
    mixes, remixes = list(branches.mix.values()), list(branches.remix.values())
    weight, bias = torch.cat([mix.weight for mix in mixes]), torch.cat([mix.bias for mix in mixes])
    parts = _over_frames(weight, x, bias).chunk(len(mixes))
    gated = [part * _channel_gate(gate, part) for gate, part in zip(branches.gates.values(), parts, strict=True)]
    weight = torch.cat([remix.weight for remix in remixes], dim=1)
    bias = torch.stack([remix.bias for remix in remixes]).sum(dim=0)
    return _over_frames(weight, torch.cat(gated), bias)


def _token_gate(gate: nn.Module, x: Tensor) -> Tensor:
    if isinstance(gate, LongRangeGate):
        reduced = functional.relu(_norm_first(gate.reduce_norm, gate.reduce.weight @ x.mean(dim=2)))
        return torch.sigmoid(_norm_first(gate.expand_norm, gate.expand.weight @ reduced)).unsqueeze(2)
    assert isinstance(gate, ShortRangeGate)
    if isinstance(gate, MiddleRangeGate):
        return _token_convolutions(gate, x @ gate.pool) @ gate.unpool
    return _token_convolutions(gate, x)


def _token_convolutions(gate: ShortRangeGate, x: Tensor) -> Tensor:
    weight = gate.reduce.weight.permute(2, 0, 1).flatten(0, 1)
    before, here, after = _over_frames(weight, x).chunk(3)
    reduced = functional.relu(_norm_first(gate.reduce_norm, _shifted(before, 2, 1) + here + _shifted(after, 2, -1)))
    weight = gate.expand.weight.permute(0, 2, 1).flatten(1)
    expanded = _over_frames(weight, torch.cat([_shifted(reduced, 2, 1), reduced, _shifted(reduced, 2, -1)]))
    return torch.sigmoid(_norm_first(gate.expand_norm, expanded))


def _channel_gate(gate: nn.Module, x: Tensor) -> Tensor:
    if isinstance(gate, LongRangeGate):
        reduced = functional.relu(gate.reduce_norm(gate.reduce(x.mean(dim=0))))
        return torch.sigmoid(gate.expand_norm(gate.expand(reduced))).unsqueeze(0)
    assert isinstance(gate, ShortRangeGate)
    if isinstance(gate, MiddleRangeGate):
        return _over_frames(gate.unpool.T, _channel_convolutions(gate, _over_frames(gate.pool.T, x)))
    return _channel_convolutions(gate, x)


def _channel_convolutions(gate: ShortRangeGate, x: Tensor) -> Tensor:
    # One reduced channel a group of positions: (groups, inputs, 3) → block-diagonal (groups · inputs, 3 · groups).
    reduce = torch.diag_embed(gate.reduce.weight.permute(1, 2, 0)).permute(2, 0, 1, 3).flatten(2).flatten(0, 1)
    before, here, after = (x @ reduce).chunk(3, dim=2)
    reduced = functional.relu(_norm_last(gate.reduce_norm, _shifted(before, 0, 1) + here + _shifted(after, 0, -1)))
    groups = gate.reduce.out_channels
    blocks = gate.expand.weight.view(groups, -1, 3).permute(1, 2, 0)
    expand = torch.diag_embed(blocks).permute(1, 2, 3, 0).flatten(2).flatten(0, 1)
    shifts = torch.cat([_shifted(reduced, 0, 1), reduced, _shifted(reduced, 0, -1)], dim=2)
    return torch.sigmoid(_norm_last(gate.expand_norm, shifts @ expand))


def _shifted(x: Tensor, axis: int, places: int) -> Tensor:
    """`x` moved along an axis by one place, up or down, a zero moving in."""
    length = x.shape[axis] - 1
    zero = torch.zeros_like(x.narrow(axis, 0, 1))
    if places > 0:
        return torch.cat([zero, x.narrow(axis, 0, length)], dim=axis)
    return torch.cat([x.narrow(axis, 1, length), zero], dim=axis)


def _norm_first(norm: nn.Module, x: Tensor) -> Tensor:
    """Batch normalisation with the positions first, everything else being the batch."""
    normalised: Tensor = norm(x.reshape(1, x.shape[0], -1))
    return normalised.view(x.shape)


def _norm_last(norm: nn.Module, x: Tensor) -> Tensor:
    """Batch normalisation with the positions last."""
    normalised: Tensor = norm(x.flatten(0, 1))
    return normalised.view(x.shape)
