"""MC-MLP's forward pass as training runs it: the same function as `McMlp.frames`, laid out for speed.

Frames come first and the videos of a training item last but one: (T, B, G, H) for B items of G videos. So mixing over
frames is one matrix product without a transposition, the narrow convolutions of the gates are matrix products too
(grouped ones with a block-diagonal matrix), and all G videos pass as one batch. Only batch normalisation must keep them
separate: the authors pass each of an item's videos by itself, so the i-th videos of the items share their statistics,
and no others. Values and gradients agree with plain passes, one after the other, to rounding (tested).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .gates import LongRangeGate, MiddleRangeGate, ShortRangeGate
from .mixer import Branches, McMlp


def embed(network: McMlp, videos: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The G videos of B items, each (B, T, D), as frame embeddings (B, T, H) and relaxed codes (B, K) each."""
    if not network.training:
        # Without batch statistics there is nothing to keep separate.
        plain = [network.frames(each) for each in videos]
        return tuple(plain), tuple(network.relaxed(frames) for frames in plain)
    # Projected one by one: stacking the videos themselves would copy all features.
    frames = frame_embeddings(network, torch.stack([network.project(each) for each in videos], dim=2))
    relaxed = torch.tanh(network.alpha * network.binary(frames)).mean(dim=0)
    return frames.permute(2, 1, 0, 3).unbind(), relaxed.unbind(dim=1)


def frame_embeddings(network: McMlp, projected: Tensor) -> Tensor:
    """Projected features (B, T, G, H) → frame embeddings (T, B, G, H)."""
    x = functional.relu(projected).transpose(0, 1).contiguous()
    mixed = _mlp_over_frames(network.token_mlp, x)
    x = x + (_token_branches(network.token_branches, mixed) if network.has_branches else mixed)
    mixed = network.channel_mlp(x)
    if not network.has_branches:
        return x + mixed
    x = x + _channel_branches(network.channel_branches, mixed)
    return _channel_branches(network.output_branches, x)


def _over_frames(weight: Tensor, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """(S, T) weights on the frames of (T, B, G, H): (S, B, G, H)."""
    flat = x.flatten(1)
    product = weight @ flat if bias is None else torch.addmm(bias[:, None], weight, flat)
    return product.view(-1, *x.shape[1:])


def _mlp_over_frames(layers: nn.Sequential, x: Tensor) -> Tensor:
    first, activation, dropout, second, last = layers
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
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
    mixes = [layer for layer in branches.mix.values() if isinstance(layer, nn.Linear)]
    remixes = [layer for layer in branches.remix.values() if isinstance(layer, nn.Linear)]
    weight, bias = torch.cat([mix.weight for mix in mixes]), torch.cat([mix.bias for mix in mixes])
    parts = _over_frames(weight, x, bias).chunk(len(mixes))
    gated = [part * _channel_gate(gate, part) for gate, part in zip(branches.gates.values(), parts, strict=True)]
    weight = torch.cat([remix.weight for remix in remixes], dim=1)
    bias = torch.stack([remix.bias for remix in remixes]).sum(dim=0)
    return _over_frames(weight, torch.cat(gated), bias)


def _token_gate(gate: nn.Module, x: Tensor) -> Tensor:
    if isinstance(gate, LongRangeGate):
        reduced = _over_frames(gate.reduce.weight, x.mean(dim=3, keepdim=True))
        reduced = functional.relu(_norm_first(gate.reduce_norm, reduced))
        return torch.sigmoid(_norm_first(gate.expand_norm, _over_frames(gate.expand.weight, reduced)))
    assert isinstance(gate, ShortRangeGate)
    if isinstance(gate, MiddleRangeGate):
        return _token_convolutions(gate, x @ gate.pool) @ gate.unpool
    return _token_convolutions(gate, x)


def _token_convolutions(gate: ShortRangeGate, x: Tensor) -> Tensor:
    weight = gate.reduce.weight.permute(2, 0, 1).flatten(0, 1)
    before, here, after = _over_frames(weight, x).chunk(3)
    reduced = functional.relu(_norm_first(gate.reduce_norm, _shifted(before, 3, 1) + here + _shifted(after, 3, -1)))
    weight = gate.expand.weight.permute(0, 2, 1).flatten(1)
    expanded = _over_frames(weight, torch.cat([_shifted(reduced, 3, 1), reduced, _shifted(reduced, 3, -1)]))
    return torch.sigmoid(_norm_first(gate.expand_norm, expanded))


def _channel_gate(gate: nn.Module, x: Tensor) -> Tensor:
    if isinstance(gate, LongRangeGate):
        reduced = functional.relu(_norm_last(gate.reduce_norm, gate.reduce(x.mean(dim=0, keepdim=True))))
        return torch.sigmoid(_norm_last(gate.expand_norm, gate.expand(reduced)))
    assert isinstance(gate, ShortRangeGate)
    if isinstance(gate, MiddleRangeGate):
        return _over_frames(gate.unpool.T, _channel_convolutions(gate, _over_frames(gate.pool.T, x)))
    return _channel_convolutions(gate, x)


def _channel_convolutions(gate: ShortRangeGate, x: Tensor) -> Tensor:
    # One reduced channel a group of positions: (groups, inputs, 3) → block-diagonal (groups · inputs, 3 · groups).
    reduce = torch.diag_embed(gate.reduce.weight.permute(1, 2, 0)).permute(2, 0, 1, 3).flatten(2).flatten(0, 1)
    before, here, after = (x @ reduce).chunk(3, dim=3)
    reduced = functional.relu(_norm_last(gate.reduce_norm, _shifted(before, 0, 1) + here + _shifted(after, 0, -1)))
    groups = gate.reduce.out_channels
    blocks = gate.expand.weight.view(groups, -1, 3).permute(1, 2, 0)
    expand = torch.diag_embed(blocks).permute(1, 2, 3, 0).flatten(2).flatten(0, 1)
    shifts = torch.cat([_shifted(reduced, 0, 1), reduced, _shifted(reduced, 0, -1)], dim=3)
    return torch.sigmoid(_norm_last(gate.expand_norm, shifts @ expand))


def _shifted(x: Tensor, axis: int, places: int) -> Tensor:
    """`x` moved along an axis by one place, up or down, a zero moving in."""
    length = x.shape[axis] - 1
    zero = torch.zeros_like(x.narrow(axis, 0, 1))
    if places > 0:
        return torch.cat([zero, x.narrow(axis, 0, length)], dim=axis)
    return torch.cat([x.narrow(axis, 1, length), zero], dim=axis)


def _norm_first(norm: nn.Module, x: Tensor) -> Tensor:
    """Batch normalisation of (c, B, G, n) with positions c, each of the G videos by itself."""
    positions, batch, videos, mixed = x.shape
    rows = x.transpose(0, 1).reshape(batch, positions * videos, mixed)
    return (
        _normalise(norm, rows, (positions, videos), videos_first=False)
        .view(batch, positions, videos, mixed)
        .transpose(0, 1)
    )


def _norm_last(norm: nn.Module, x: Tensor) -> Tensor:
    """Batch normalisation of (n, B, G, c) with positions c, each of the G videos by itself."""
    videos, positions = x.shape[2:]
    return _normalise(norm, x.reshape(-1, videos * positions), (videos, positions), videos_first=True).view(x.shape)


def _normalise(norm: nn.Module, x: Tensor, channels: tuple[int, int], *, videos_first: bool) -> Tensor:
    """Normalise (rows, channels[, n]) whose channels are positions × videos or videos × positions."""
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    axis = 0 if videos_first else 1
    videos = channels[axis]
    # Contiguous, since batch normalisation reads its weights as if they were.
    weight, bias = (
        parameter.unsqueeze(axis).expand(channels).reshape(-1).contiguous() for parameter in (norm.weight, norm.bias)
    )
    mean, variance = torch.zeros_like(weight), torch.ones_like(weight)
    # With momentum 1 the buffers end as the statistics of this batch.
    normalised = functional.batch_norm(x, mean, variance, weight, bias, training=True, momentum=1.0, eps=norm.eps)
    with torch.no_grad():
        norm.num_batches_tracked.add_(videos)
        # The running statistics after one update a video, in turn.
        keep = 1 - norm.momentum
        shares = norm.momentum * keep ** torch.arange(videos - 1, -1, -1, dtype=x.dtype, device=x.device)
        for running, batch in ((norm.running_mean, mean), (norm.running_var, variance)):
            running.mul_(keep**videos).add_((batch.view(channels) * shares.unsqueeze(1 - axis)).sum(dim=axis))
    return normalised
