"""The recurrent cells of SSTH (Zhang et al., ACM MM 2016) and SSVH (Song et al., TIP 2018).

An LSTM with peepholes, whose cell is normalised over the batch at every step, each with its own statistics. With ∘ the
product of elements, ĉ' and h' the state before:

    i = σ(x·W_xi + h'·W_hi + b_i + w_i∘ĉ')    f likewise    g = tanh(x·W_xg + h'·W_hg + b_g)
    ĉ = BN_t(f∘ĉ' + i∘g)                      o = σ(x·W_xo + h'·W_ho + b_o + w_o∘ĉ)

An input cell gives h = o∘ĉ, without a tanh. A free cell has no x, and gives h = o∘tanh(ĉ).

Shapes: B videos, S steps, D inputs, K the width, which is the code length.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.base.processes import threads
from bench.learning.layers import ChannelProduct

from .kernels import by_kernel, recur

GATES = ("ingate", "forgetgate", "cell", "outgate")
"""In the order in which they are packed: i, f, g, o."""
PEEPHOLES = ("ingate", "forgetgate", "outgate")
EPSILON = 1e-10
REMEMBERED = 0.99
ORTHOGONAL_GAIN = 1.1
PEEPHOLE_LIMIT = 0.1


class Trace(NamedTuple):
    """All states of a recurrence."""

    hidden: Tensor
    """h of every step before it is binarised, (B, S, K)."""
    cell: Tensor
    """ĉ of every step, (B, S, K)."""
    last: Tensor
    """h after the last step, binarised where the recurrence is binary, (B, K)."""

    @property
    def state(self) -> tuple[Tensor, Tensor]:
        """The state that a next step would see: (h, ĉ), each (B, K)."""
        return self.last, self.cell[:, -1]


class StepNorm(nn.Module):
    """Batch normalisation of the cell at one step, (B, K) → (B, K): γ·(c − m)/(s + ε) + β.

    Training takes m and s = √(mean((c − m)² + ε)) of the batch, evaluation their running means: of the deviation
    itself, not of the variance.
    """

    running_mean: Tensor
    running_deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))
        self.beta = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_deviation", torch.ones(width))

    def forward(self, cell: Tensor) -> Tensor:
        if not self.training:
            scale = self.gamma / (self.running_deviation + EPSILON)
            return torch.addcmul(self.beta, cell - self.running_mean, scale)
        # One operator, which divides by s alone: s is 1e-5 or more, beside which ε is lost.
        normalised, mean, inverse = torch.native_batch_norm(cell, self.gamma, self.beta, None, None, True, 0.0, EPSILON)
        with torch.no_grad():
            self.running_mean.lerp_(mean, 1 - REMEMBERED)
            self.running_deviation.lerp_(inverse.reciprocal(), 1 - REMEMBERED)
        return normalised

    def folded(self) -> tuple[Tensor, Tensor]:
        """The scale and the shift (K,) that it is in evaluation, in double precision."""
        scale = self.gamma.detach().double() / (self.running_deviation.double() + EPSILON)
        return scale, self.beta.detach().double() - scale * self.running_mean.double()


class Recurrence(nn.Module):
    """Steps of one cell with one set of weights: an input cell of `inputs` numbers, or a free cell without."""

    def __init__(self, steps: int, width: int, inputs: int | None = None, *, binary: bool = False) -> None:
        super().__init__()
        self.binary = binary
        """Whether the next step sees the signs of h."""
        self.enter = nn.ParameterDict({gate: nn.Parameter(torch.empty(inputs, width)) for gate in GATES if inputs})
        self.recur = nn.ParameterDict({gate: nn.Parameter(torch.empty(width, width)) for gate in GATES})
        self.bias = nn.ParameterDict({gate: nn.Parameter(torch.zeros(width)) for gate in GATES})
        self.peephole = nn.ParameterDict({gate: nn.Parameter(torch.empty(width)) for gate in PEEPHOLES})
        self.norms = nn.ModuleList(StepNorm(width) for _ in range(steps))
        for weight in self.enter.values():
            nn.init.xavier_uniform_(weight)
        for weight in self.recur.values():
            nn.init.orthogonal_(weight, ORTHOGONAL_GAIN)
        for weight in self.peephole.values():
            nn.init.uniform_(weight, -PEEPHOLE_LIMIT, PEEPHOLE_LIMIT)
        nn.init.ones_(self.bias["forgetgate"])

    def forward(self, start: Tensor | tuple[Tensor, Tensor]) -> Trace:
        """An input cell begins with zeros and reads `start` (B, S, D); a free cell begins with the state `start`."""
        bias = torch.cat([self.bias[gate] for gate in GATES])
        given: Sequence[Tensor]
        if isinstance(start, tuple):
            given, state = [bias] * len(self.norms), start
        else:
            given = (start @ torch.cat([self.enter[gate] for gate in GATES], dim=1) + bias).unbind(1)
            state = None
        recur = torch.cat([self.recur[gate] for gate in GATES], dim=1)
        peephole = torch.stack([self.peephole[gate] for gate in PEEPHOLES])
        return run(given, state, recur, peephole, self.norms, binary=self.binary)


def run(
    given: Sequence[Tensor],
    state: tuple[Tensor, Tensor] | None,
    recur: Tensor,
    peephole: Tensor,
    norms: Iterable[Callable[[Tensor], Tensor]],
    *,
    binary: bool,
) -> Trace:
    """The steps of a cell: an input cell where no `state` is given, else a free one, which begins with it.

    `given`: what the gates get besides the state, a step (B, 4·K), or (4·K,) for all videos; `recur` (K, 4·K) and
    `peephole` (3, K) as packed; `norms` of the steps, each (B, K) → (B, K).
    """
    width = recur.shape[0]
    free = state is not None
    if state is None:
        state = (given[0].new_zeros(given[0].shape[0], width, dtype=torch.float32),) * 2
    hidden, cell = state
    hiddens, cells = [], []
    looks, looks_last = torch.split(peephole, [2, 1])
    for step, norm in zip(given, norms, strict=True):
        # The state stays float32 where products are rougher.
        gates = torch.addmm(step, hidden.to(recur.dtype), recur).float()
        first, new, last = torch.split(gates, [2 * width, width, width], dim=1)
        entering, kept = torch.addcmul(first.view(-1, 2, width), looks, cell.unsqueeze(1)).sigmoid().unbind(1)
        cell = norm(torch.addcmul(kept * cell, entering, new.tanh()))
        out = torch.addcmul(last, looks_last, cell).sigmoid()
        hiddens.append(out * (cell.tanh() if free else cell))
        cells.append(cell)
        hidden = sign_step(hiddens[-1]) if binary else hiddens[-1]
    return Trace(torch.stack(hiddens, dim=1), torch.stack(cells, dim=1), hidden)


def sign_step(hidden: Tensor) -> Tensor:
    """±1 of real numbers: 2·round(clip((h + 1)/2, 0, 1)) − 1, where halves are rounded up, so that h = 0 gives +1.

    The gradient passes unchanged where −1 ≤ h ≤ 1, and is 0 elsewhere.
    """
    soft = hidden.clamp(-1, 1)
    # Of negative numbers near 0 the sum rounds to 1, as theirs does.
    return torch.where(hidden + 1 >= 1, 1.0, -1.0) + (soft - soft.detach())


class ReadOut(nn.Module):
    """A frame of a state: (..., K) → (..., D)."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(width, outputs)))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden @ self.weight + self.bias


class InferenceRecurrence(nn.Module):
    """An input cell in evaluation mode: (B, S, D) → h of every step before it is binarised, (B, S, K) float32.

    The same function up to rounding (tested): weights are packed once, the normalisation of a step is a scale and a
    shift, and on a processor the steps are a compiled loop.
    """

    recur: Tensor
    peephole: Tensor
    scale: Tensor
    shift: Tensor
    compilable = False
    """PyTorch's compiler would write out every step, and take hours over it."""

    def __init__(self, plain: Recurrence) -> None:
        super().__init__()
        self.binary = plain.binary
        weight = torch.cat([plain.enter[gate] for gate in GATES], dim=1)
        self.enter = ChannelProduct(weight.T, torch.cat([plain.bias[gate] for gate in GATES]))
        self.register_buffer("recur", torch.cat([plain.recur[gate].detach() for gate in GATES], dim=1))
        self.register_buffer("peephole", torch.stack([plain.peephole[gate].detach() for gate in PEEPHOLES]))
        folded = [norm.folded() for norm in plain.norms if isinstance(norm, StepNorm)]
        for name, values in zip(("scale", "shift"), zip(*folded, strict=True), strict=True):
            self.register_buffer(name, torch.stack(values).float())

    def forward(self, inputs: Tensor) -> Tensor:
        given = self.enter(inputs.to(self.recur.dtype))
        traced = torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[attr-defined, no-untyped-call]
        if not traced and given.device.type == "cpu":
            tables = self.scale, self.shift, self.peephole, self.recur
            with threads(torch.get_num_threads()) as workers:
                return by_kernel(workers, recur, [given], tables, self.binary).float()
        norms = [
            lambda cell, scale=scale, shift=shift: torch.addcmul(shift, cell, scale)
            for scale, shift in zip(self.scale.float().unbind(), self.shift.float().unbind(), strict=True)
        ]
        return run(given.unbind(1), None, self.recur, self.peephole.float(), norms, binary=self.binary).hidden
