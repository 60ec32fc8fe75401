"""State space duality (Dao and Gu, 2024) for videos: every frame as a sum over the frames before it.

Shapes: B videos, T frames, E channels in heads of 128, S states. Of each head, with a_t = −exp(A)·δ_t:

    h_t = exp(a_t)·h_{t−1} + δ_t·x_t ⊗ b_t,  h_{−1} = 0;  y_t = h_t·c_t + D·x_t

A state decays alike in all channels of a head, so y is (L∘P)·(δ·x) + D·x, with P_ts = c_t·b_s, which the heads share,
and L_ts = exp(a_{s+1} + … + a_t) for s ≤ t. For a few dozen frames that is a seventh of the recurrence's work.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

STATES = 64
CHANNELS = 128
"""Of a head."""
LARGEST_RATE = 16.0


class StateSpace(nn.Module):
    """(B, T, E) → (B, T, E); steps δ, and b and c of each frame, come from the frame itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // CHANNELS
        self.project = nn.Linear(channels, self.heads + 2 * STATES, bias=False)
        self.mixing = Mixing(self.heads)

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        seed, enter, leave = self.project(x).split([self.heads, STATES, STATES], dim=-1)
        mixed: Tensor = self.mixing(x, seed, enter, leave, gate)
        return mixed


class Mixing(nn.Module):
    """(y + D·x)·SiLU(gate) of x and gate (B, T, E), the seeds of δ (B, T, heads), and b and c (B, T, S)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.log_rates = nn.Parameter(torch.empty(heads).uniform_(1, LARGEST_RATE).log())
        self.step_bias = nn.Parameter(torch.zeros(heads))
        self.skip = nn.Parameter(torch.ones(heads))

    def forward(self, x: Tensor, seed: Tensor, enter: Tensor, leave: Tensor, gate: Tensor) -> Tensor:
        # The errors of bfloat16 would add up along the video.
        with torch.autocast(x.device.type, enabled=False):
            x, seed, enter, leave, gate = (given.to(self.skip.dtype) for given in (x, seed, enter, leave, gate))
            steps = functional.softplus(seed + self.step_bias).transpose(1, 2)
            weights = decays(-self.log_rates.exp()[:, None] * steps) * (leave @ enter.transpose(1, 2)).unsqueeze(1)
            heads = x.reshape(*x.shape[:2], -1, CHANNELS).transpose(1, 2)
            mixed = weights @ (steps[..., None] * heads) + self.skip[:, None, None] * heads
            return mixed.transpose(1, 2).flatten(2) * functional.silu(gate)

    def multiply_adds(self, x: Tensor, seed: Tensor, enter: Tensor, leave: Tensor, gate: Tensor) -> int:
        """T² for each state (P), head (L∘P) and channel (y); 3 a frame and channel for δ·x, D·x and the gate."""
        videos, frames, channels = x.shape
        return videos * frames * (frames * (STATES + seed.shape[2] + channels) + 3 * channels)


def decays(rates: Tensor) -> Tensor:
    """L (…, T, T) of a (…, T), none above 0: exp(a_{s+1} + … + a_t) at (t, s) for s ≤ t, else 0."""
    frames = rates.shape[-1]
    ones = torch.ones(frames, frames, dtype=rates.dtype, device=rates.device).tril()
    # A running sum, for which GPUs have no deterministic operator.
    total = rates @ ones.T
    spans = total[..., :, None] - total[..., None, :]
    # Above the diagonal the exponential could overflow.
    return spans.masked_fill(ones == 0, -torch.inf).exp()
