"""The selective scan of Mamba (Gu and Dao, 2023), without its CUDA kernels.

Shapes: B sequences, L tokens, E channels, S states. With a_t = exp(δ_t·A), at most 1 since δ ≥ 0 and A < 0:

    h_t = a_t·h_{t−1} + δ_t·u_t·b_t,  h_{−1} = 0;  y_t = Σ_S c_t·h_t

Videos have a few dozen frames, so a loop over the tokens is the fastest form in plain PyTorch: the state (B, S, E) is
changed in place, for as many sequences at a time as suit a processor's cache.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

STATES = 16
CHUNK = 32
"""Sequences at a time: fewer cost more calls, more no longer fit into a processor's cache."""
CHUNK_ON_GPU = 1024
"""A GPU waits for its calls; this many sequences of 512 channels take 1.6 GB in the backward pass."""


class Scan(nn.Module):
    """y + D·u (B, L, E) of inputs u and steps δ (B, L, E), and of the b and c of each token (B, L, S).

    A is −exp(`log_rates`), D is `skip`. Computes in their precision, under autocast too.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_rates = nn.Parameter(torch.arange(1, STATES + 1).float().log().repeat(channels, 1))
        self.skip = nn.Parameter(torch.ones(channels))

    def forward(self, u: Tensor, steps: Tensor, enter: Tensor, leave: Tensor) -> Tensor:
        # The errors of bfloat16 would add up along the sequence.
        with torch.autocast(u.device.type, enabled=False):
            u, steps, enter, leave = (x.to(self.skip.dtype) for x in (u, steps, enter, leave))
            rates = -self.log_rates.T.exp()
            scanned: Tensor = SelectiveScan.apply(u, steps, rates, enter, leave)  # type: ignore[no-untyped-call]
            return scanned + self.skip * u

    def multiply_adds(self, u: Tensor, *others: Tensor) -> int:
        """4·E·S a token for δ·A, δ·u·b, the recurrence and the sum over states; 3·E for δ·u, D·u and the gate."""
        return u.numel() * (4 * STATES + 3)


class SelectiveScan(torch.autograd.Function):
    """y (B, L, E) of u and δ (B, L, E), A (S, E), b and c (B, L, S).

    Keeps its inputs only: the backward pass computes the states again, so that training needs no memory for them.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, steps: Tensor, rates: Tensor, enter: Tensor, leave: Tensor) -> Tensor:
        ctx.save_for_backward(u, steps, rates, enter, leave)
        scanned = torch.empty_like(u)
        for part in _chunks(u):
            scaled = steps[part] * u[part]
            state = u.new_zeros(len(scaled), *rates.shape)
            decay = torch.empty_like(state)
            for t in range(u.shape[1]):
                torch.mul(steps[part, t, None], rates, out=decay).exp_()
                state.mul_(decay).addcmul_(enter[part, t, :, None], scaled[:, t, None])
                scanned[part, t] = torch.bmm(leave[part, t, None], state).squeeze(1)
        return scanned

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, ...]:
        u, steps, rates, enter, leave = ctx.saved_tensors
        gradients = tuple(torch.zeros_like(x) for x in ctx.saved_tensors)
        to_u, to_steps, to_rates, to_enter, to_leave = gradients
        for part in _chunks(u):
            scaled = steps[part] * u[part]
            decays, states = _trajectory(steps[part], rates, enter[part], scaled)
            # Of the state h_t: what comes from y_t, and from h_{t+1}.
            to_state = torch.zeros_like(states[0])
            through, own_rates = torch.empty_like(to_state), torch.zeros_like(to_state)
            for t in reversed(range(u.shape[1])):
                to_state.addcmul_(leave[part, t, :, None], upstream[part, t, None])
                to_leave[part, t] = torch.bmm(states[t], upstream[part, t, :, None]).squeeze(2)
                to_enter[part, t] = torch.bmm(to_state, scaled[:, t, :, None]).squeeze(2)
                to_scaled = torch.bmm(enter[part, t, None], to_state).squeeze(1)
                to_u[part, t], to_steps[part, t] = to_scaled * steps[part, t], to_scaled * u[part, t]
                if t:
                    to_state.mul_(decays[t])
                    torch.mul(to_state, states[t - 1], out=through)
                    own_rates.addcmul_(through, steps[part, t, None])
                    to_steps[part, t] += through.mul_(rates).sum(dim=1)
            to_rates += own_rates.sum(dim=0)
        return gradients


def _chunks(u: Tensor) -> Iterator[slice]:
    size = CHUNK if u.device.type == "cpu" else CHUNK_ON_GPU
    return (slice(start, start + size) for start in range(0, len(u), size))


def _trajectory(steps: Tensor, rates: Tensor, enter: Tensor, scaled: Tensor) -> tuple[Tensor, Tensor]:
    """All a_t and h_t of a chunk, both (L, B, S, E)."""
    decays = torch.mul(steps.transpose(0, 1)[:, :, None], rates).exp_()
    states = torch.mul(enter.transpose(0, 1)[..., None], scaled.transpose(0, 1)[:, :, None])
    for t in range(1, len(states)):
        states[t].addcmul_(decays[t], states[t - 1])
    return decays, states
