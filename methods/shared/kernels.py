"""Compiled loops for encoding on a processor, where PyTorch's operators spend most of their time on memory or calls.

Shapes: B videos, T frames, E channels, S states; K the width of an LSTM. `backward` runs from a video's last frame to
its first.

All loops stand in this one file: numba's cache on disk notices changes of a kernel's own file only. The innermost ones
run over one axis of rows that they get as arguments: that is what the compiler turns into vector instructions.
"""

import math
from concurrent.futures import Executor
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]
LOG2_E = np.float32(math.log2(math.e))
CHANNELS = 512
"""Channels at a time: their states stay in the nearest cache."""
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
SMALLEST = np.float32(-126)
MANTISSA, BIAS = np.int32(23), np.int32(127)


def _powers(degree: int) -> list[np.float32]:
    """Coefficients of 2^f for |f| ≤ ½, interpolated at Chebyshev's points: exact to 1e-7 at degree 5."""
    points = np.cos((2 * np.arange(degree + 1) + 1) * math.pi / (2 * degree + 2)) / 2
    fitted = np.polynomial.Polynomial.fit(points, 2.0**points, degree).convert()
    return [np.float32(coefficient) for coefficient in fitted.coef]


P0, P1, P2, P3, P4, P5 = _powers(5)
# artanh(s) / s as a series of s², for s ≤ 1/3.
A1, A2, A3, A4, A5, A6 = (np.float32(1 / (2 * n + 1)) for n in range(1, 7))

L0, L1, L2, L3 = (np.float32(coefficient) for coefficient in (945, 105, 420, 15))

# A product and the sum that it goes into may be rounded once instead of twice, and nothing else.
compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
inlined = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"}, inline="always")


@inlined
def power_of_two(x: np.float32) -> np.float32:
    """2^x of x ≤ 0, to 2e-7 of the result; below −126 that of −126."""
    x = max(x, SMALLEST)
    whole = np.rint(x)
    f = x - whole
    fraction = P0 + f * (P1 + f * (P2 + f * (P3 + f * (P4 + f * P5))))
    return fraction * np.int32((np.int32(whole) + BIAS) << MANTISSA).view(np.float32)


@inlined
def silu(x: np.float32) -> np.float32:
    """x / (1 + exp(−x))."""
    w = power_of_two(-abs(x) * LOG2_E)
    return x * (ONE if x > ZERO else w) / (ONE + w)


@inlined
def sigmoid(x: np.float32) -> np.float32:
    """1 / (1 + exp(−x))."""
    w = power_of_two(-abs(x) * LOG2_E)
    return (ONE if x > ZERO else w) / (ONE + w)


@inlined
def tanh(x: np.float32) -> np.float32:
    """To 2e-7 of the result; below 1 by Lambert's continued fraction."""
    w = power_of_two(-TWO * abs(x) * LOG2_E)
    far = (ONE - w) / (ONE + w)
    q = x * x
    near = x * (L0 + q * (L1 + q)) / (L0 + q * (L2 + q * L3))
    return near if abs(x) < ONE else (far if x > ZERO else -far)


@inlined
def softplus(x: np.float32) -> np.float32:
    """log(1 + exp(x)), as max(x, 0) + 2·artanh(w / (2 + w)) with w = exp(−|x|)."""
    w = power_of_two(-abs(x) * LOG2_E)
    s = w / (TWO + w)
    q = s * s
    series = ONE + q * (A1 + q * (A2 + q * (A3 + q * (A4 + q * (A5 + q * A6)))))
    return max(x, ZERO) + TWO * s * series


@compiled
def add_product(total: Array, factor: Array, row: Array) -> None:
    for e in range(len(total)):
        total[e] += factor[e] * row[e]


@compiled
def activate(row: Array) -> None:
    for e in range(len(row)):
        row[e] = silu(row[e])


@compiled
def convolve(projected: Array, weight: Array, bias: Array, backward: bool, convolved: Array) -> None:
    """SiLU of the depthwise convolution of `projected[..., :E]` with weight (4, E) and bias (E,): (B, T, E)."""
    videos, frames, channels = convolved.shape
    for video in range(videos):
        for t in range(frames):
            total = convolved[video, t]
            total[:] = bias
            for before in range(len(weight)):
                source = t + before if backward else t - before
                if 0 <= source < frames:
                    add_product(total, weight[len(weight) - 1 - before], projected[video, source, :channels])
            activate(total)


@compiled
def begin_token(u: Array, raw: Array, skip: Array, step: Array, scaled: Array, total: Array) -> None:
    """δ = softplus(raw), δ·u and D·u of one token."""
    for e in range(len(u)):
        delta = softplus(raw[e])
        step[e] = delta
        scaled[e] = delta * u[e]
        total[e] = skip[e] * u[e]


@compiled
def advance(
    step: Array, rate: Array, scaled: Array, enter: np.float32, leave: np.float32, state: Array, total: Array
) -> None:
    """One state of all channels by one token: h ← exp(δ·A)·h + b·δ·u; what it adds to the output is c·h."""
    for e in range(len(step)):
        h = power_of_two(step[e] * rate[e]) * state[e] + enter * scaled[e]
        state[e] = h
        total[e] += leave * h


@compiled
def gate(total: Array, gates: Array, gated: Array) -> None:
    for e in range(len(total)):
        gated[e] = total[e] * silu(gates[e])


@compiled
def scan(
    u: Array, raw: Array, seeds: Array, projected: Array, rates: Array, skip: Array, backward: bool, gated: Array
) -> None:
    """Selective scan, skip and gate: (B, T, E).

    u and the raw steps are (B, T, E), b and c the last 2·S of `seeds` (B, T, …), the gates the second half of
    `projected` (B, T, 2·E); A·log₂e is (S, E), D (E,).
    """
    videos, frames, channels = u.shape
    states = len(rates)
    first = seeds.shape[2] - 2 * states
    state = np.empty((states, CHANNELS), np.float32)
    rows = np.empty((3, CHANNELS), np.float32)
    for start in range(0, channels, CHANNELS):
        end = min(start + CHANNELS, channels)
        step, scaled, total = rows[0, : end - start], rows[1, : end - start], rows[2, : end - start]
        for video in range(videos):
            state[:] = ZERO
            for token in range(frames):
                t = frames - 1 - token if backward else token
                begin_token(u[video, t, start:end], raw[video, t, start:end], skip[start:end], step, scaled, total)
                for n in range(states):
                    enter, leave = seeds[video, t, first + n], seeds[video, t, first + states + n]
                    advance(step, rates[n, start:end], scaled, enter, leave, state[n, : end - start], total)
                gate(total, projected[video, t, channels + start : channels + end], gated[video, t, start:end])


@compiled
def add_scaled(total: Array, factor: np.float32, row: Array) -> None:
    for e in range(len(total)):
        total[e] += factor * row[e]


@compiled
def advance_cell(gates: Array, peephole: Array, scale: Array, shift: Array, cell: Array, hidden: Array) -> None:
    """One step of all K channels, from the gates (4, K): changes ĉ and gives h."""
    for k in range(len(cell)):
        entering = sigmoid(gates[0, k] + peephole[0, k] * cell[k])
        kept = sigmoid(gates[1, k] + peephole[1, k] * cell[k])
        new = shift[k] + scale[k] * (kept * cell[k] + entering * tanh(gates[2, k]))
        cell[k] = new
        hidden[k] = new * sigmoid(gates[3, k] + peephole[2, k] * new)


@compiled
def recur(
    given: Array, scale: Array, shift: Array, peephole: Array, weight: Array, binary: bool, hidden: Array
) -> None:
    """h of every step of an LSTM with a normalised cell, before it is binarised: (B, T, K).

    What the gates get from the inputs is `given` (B, T, 4·K), from the state `weight` (K, 4·K); scale and shift of the
    cell are (T, K), the peepholes (3, K). `binary`: the next step sees ±1.
    """
    videos, frames, width = hidden.shape
    gates, cell, seen = np.empty(4 * width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    for video in range(videos):
        cell[:] = ZERO
        seen[:] = ZERO
        for t in range(frames):
            gates[:] = given[video, t]
            for k in range(width):
                add_scaled(gates, seen[k], weight[k])
            advance_cell(gates.reshape(4, width), peephole, scale[t], shift[t], cell, hidden[video, t])
            for k in range(width):
                h = hidden[video, t, k]
                seen[k] = (ONE if h + ONE >= ONE else -ONE) if binary else h


def by_kernel(workers: Executor, kernel: Any, videos: list[Tensor], tables: tuple[Tensor, ...], flag: bool) -> Tensor:
    """Output (B, T, E) of a kernel for arrays (B, T, …), of which every worker takes a share of the videos.

    E is the length of the last of the `tables`, which all workers read.
    """
    arrays, fixed = ([x.float().contiguous().numpy() for x in given] for given in (videos, tables))
    out = np.empty((*arrays[0].shape[:2], len(fixed[-1])), np.float32)
    share = max(1, -(-len(out) // torch.get_num_threads()))
    parts = [slice(start, start + share) for start in range(0, len(out), share)]
    work: list[list[Any]] = [[*(x[part] for x in arrays), *fixed, flag, out[part]] for part in parts]
    jobs = [workers.submit(kernel, *given) for given in work]
    for job in jobs:
        job.result()
    return torch.from_numpy(out).to(videos[0].dtype)
