"""Unbiased estimates of the gradient of an expectation over Bernoulli bits, from pairs of antithetic samples.

Shapes: B videos, S draws, K bits, T frames, D features.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

Estimator = Literal["u2g", "arm"]
Errors = Callable[[Tensor], Tensor]
"""From codes ±1 (B, S, K) to a number each (B, S), of which only differences within a video count."""


def gradient_estimate(logits: Tensor, uniforms: Tensor, errors: Errors, estimator: Estimator) -> Tensor:
    """Estimate of ∂E[f(b)]/∂φ, (B, K), where bit k of b is +1 with probability σ(φ_k), else −1.

    With `logits` φ (B, K) and `uniforms` u (B, S, K), the codes compared are a, +1 where u > 1 − σ(φ), and c, +1 where
    u < σ(φ). ARM (Yin and Zhou, ICLR 2019) is (f(a) − f(c))·(u − ½); U2G (Yin et al., 2020) is its mean given a and c,
    with less variance: ½·σ(|φ|)·(f(a) − f(c)) where a bit of a is +1 and that of c −1, the opposite where they are
    exchanged, and 0 where they agree. The estimate is the mean over the draws.
    """
    probabilities = logits.sigmoid()[:, None]
    first, second = (uniforms > 1 - probabilities).to(logits), (uniforms < probabilities).to(logits)
    difference = (errors(2 * first - 1) - errors(2 * second - 1))[:, :, None]
    if estimator == "arm":
        return (difference * (uniforms - 0.5)).mean(dim=1)
    return (0.5 * logits.abs().sigmoid()[:, None] * difference * (first - second)).mean(dim=1)


def reconstruction_errors(videos: Tensor, scales: Tensor, weight: Tensor, bias: Tensor) -> Errors:
    """Σ_t ‖W·(v_t·b) + c − x_t‖² of codes b, up to a constant of each video.

    The videos x are (B, T, D), `scales` v (T,), `weight` W (D, K) and `bias` c (D,). With y = W·b this is ‖v‖²·‖y‖² +
    2·⟨y, Σ_t v_t·(c − x_t)⟩ and a rest without b, so that no frame is restored.
    """
    towards = (scales.sum() * bias - scales @ videos)[:, None]
    length = scales.square().sum()

    def errors(codes: Tensor) -> Tensor:
        restored = codes @ weight.T
        return (restored * (length * restored + 2 * towards)).sum(dim=-1)

    return errors
