"""Compiled loops for encoding on a processor, where PyTorch's own operators spend most of their time on memory.

Shapes: B videos, T frames, E channels, S states. `backward` runs from a video's last frame to its first.

All loops stand in this one file: numba's cache on disk notices changes of a kernel's own file only. The innermost ones
run over one axis of rows that they get as arguments: that is what the compiler turns into vector instructions.
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
LOG2_E = np.float32(math.log2(math.e))
CHANNELS = 256
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
