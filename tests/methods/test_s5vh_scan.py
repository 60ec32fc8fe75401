"""The selective scan against a recurrence written out channel by channel, and its gradients."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.s5vh.mamba import CausalConvolution
from bench.methods.s5vh.scan import CHUNK, STATES, Scan, SelectiveScan
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def inputs(videos: int, tokens: int, channels: int, states: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """u, δ, A, b and c; steps as large and decays as fast as trained ones may be."""
    random = torch.Generator().manual_seed(videos + tokens)
    shapes = [(videos, tokens, channels)] * 2 + [(states, channels)] + [(videos, tokens, states)] * 2
    u, steps, rates, enter, leave = (torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes)
    made = [u, functional.softplus(3 * steps), -rates.exp() * 4, enter, leave]
    return [x.to(dtype).requires_grad_() for x in made]


def step_by_step(given: list[Tensor]) -> Tensor:
    """The recurrence as the paper has it, one number at a time where it decays, differentiated by torch."""
    u, steps, rates, enter, leave = given
    outputs = []
    for video in range(len(u)):
        state = torch.zeros_like(rates)
        rows = []
        for t in range(u.shape[1]):
            entering = torch.outer(enter[video, t], steps[video, t] * u[video, t])
            state = torch.exp(steps[video, t] * rates) * state + entering
            rows.append((leave[video, t][:, None] * state).sum(dim=0))
        outputs.append(torch.stack(rows))
    return torch.stack(outputs)


def by_hand(given: list[Tensor]) -> NDArray[np.float64]:
    """The same with Python's numbers."""
    u, steps, rates, enter, leave = (x.detach().numpy() for x in given)
    found = np.zeros(u.shape)
    for video, channel in np.ndindex(u.shape[0], u.shape[2]):
        state = [0.0] * len(rates)
        for t in range(u.shape[1]):
            delta = steps[video, t, channel]
            for n in range(len(rates)):
                decay = math.exp(delta * rates[n, channel])
                state[n] = decay * state[n] + delta * enter[video, t, n] * u[video, t, channel]
                found[video, t, channel] += leave[video, t, n] * state[n]
    return found


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 5, 4, 2), (CHUNK + 3, 4, 3, 2), (2, 30, 7, STATES)])
def test_the_recurrence_and_its_gradients(shape: tuple[int, int, int, int]) -> None:
    given = inputs(*shape)
    expected = step_by_step(given)
    np.testing.assert_allclose(expected.detach(), by_hand(given), rtol=1e-12, atol=1e-12)
    found: Tensor = SelectiveScan.apply(*given)
    torch.testing.assert_close(found, expected)
    upstream = torch.randn(expected.shape, dtype=torch.float64)
    wanted = torch.autograd.grad(expected, given, upstream)
    for gradient, other in zip(torch.autograd.grad(found, given, upstream), wanted, strict=True):
        torch.testing.assert_close(gradient, other)


def test_gradcheck() -> None:
    assert torch.autograd.gradcheck(SelectiveScan.apply, inputs(3, 4, 3, 2))


def test_in_float32() -> None:
    exact, rounded = inputs(40, 25, 16, STATES), inputs(40, 25, 16, STATES, torch.float32)
    expected = step_by_step(exact)
    found: Tensor = SelectiveScan.apply(*rounded)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()
    upstream = torch.randn(expected.shape, dtype=torch.float64)
    wanted = torch.autograd.grad(expected, exact, upstream)
    for gradient, other in zip(torch.autograd.grad(found, rounded, upstream.float()), wanted, strict=True):
        assert (gradient - other).abs().max() <= 2e-6 * other.abs().max()


def test_nothing_overflows_where_states_vanish_at_once() -> None:
    given = inputs(2, 25, 3, 2, torch.float32)
    given[1] = torch.full_like(given[1], 40.0).requires_grad_()
    found: Tensor = SelectiveScan.apply(*given)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(found).all()
    assert all(torch.isfinite(x.grad).all() for x in given if x.grad is not None)


def test_no_videos() -> None:
    given = inputs(0, 4, 3, 2)
    found: Tensor = SelectiveScan.apply(*given)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert found.shape == (0, 4, 3)
    assert (given[2].grad == 0).all()  # type: ignore[union-attr]


def test_the_module_adds_the_skip_and_stays_in_float32_under_autocast() -> None:
    module = Scan(5)
    given: list[Any] = [x.detach().float() for x in inputs(3, 6, 5, STATES)]
    u, steps, _, enter, leave = given
    with torch.no_grad():
        module.skip.copy_(torch.arange(5.0))
        rates = -torch.arange(1.0, STATES + 1)[:, None].expand(STATES, 5)
        expected = step_by_step([u, steps, rates, enter, leave]) + torch.arange(5.0) * u
        torch.testing.assert_close(module(u, steps, enter, leave), expected, rtol=1e-5, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            found = module(u, steps, enter, leave)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_multiply_adds_are_the_specified_ones() -> None:
    u = torch.zeros(2, 25, 512)
    # 34,304 a token at 512 channels and 16 states.
    assert Scan(512).multiply_adds(u) == 2 * 25 * 34_304


def test_the_convolution_sees_the_present_and_three_tokens_before() -> None:
    convolution = CausalConvolution(2)
    x = torch.randn(3, 6, 2)
    expected = torch.zeros(3, 6, 2)
    for t in range(6):
        expected[:, t] = convolution.bias
        for k in range(4):
            if t - 3 + k >= 0:
                expected[:, t] += convolution.weight[:, 0, k] * x[:, t - 3 + k]
    torch.testing.assert_close(convolution(x), expected)
