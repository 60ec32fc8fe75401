"""S5VH's inference form: the plain definition's codes, by compiled loops, by PyTorch's operators, and exported."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.s5vh import S5vh
from bench.methods.shared.kernels import CHANNELS, convolve, power_of_two, silu, softplus
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.encoding.encoder import Encoder
from bench.encoding.modules import EncoderDescription, inference_module
from tests.methods.masked import tensors
from tests.methods.s5vh import network, parameters


def stirred(module: nn.Module, seed: int) -> Any:
    """All weights far from their first values; decays and steps as trained ones may be."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.named_parameters():
            drawn = torch.randn(value.shape, generator=random)
            value.copy_(drawn if "log_rates" in name else drawn / max(1.0, value[0].numel() ** 0.5))
    return module.eval()


def encoder(seed: int, frames: int = 25, hidden: int = 32, layers: int = 2, tied: bool = True, bits: int = 24) -> Any:
    own = parameters(hidden=hidden, layers=layers, tied=tied)
    return stirred(S5vh(bits, own).network(frames, 9).encoder, seed)


def plain_logits(module: Any, videos: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = module.hash.logits(module.encoded(module.tokens(videos)))
    return found


@settings(max_examples=6, deadline=None)
@given(
    frames=st.integers(2, 30),
    half=st.integers(1, 20),
    layers=st.integers(1, 3),
    tied=st.booleans(),
    videos=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_any_size(frames: int, half: int, layers: int, tied: bool, videos: int, seed: int) -> None:
    module = encoder(seed, frames, 2 * half, layers, tied)
    x = torch.randn(videos, frames, 9, generator=torch.Generator().manual_seed(seed))
    fast: Any = inference_module(module)
    with torch.inference_mode():
        # Such weights amplify rounding: of 150 networks both forms were up to 5e-5 from double precision.
        torch.testing.assert_close(fast.logits(x), plain_logits(module, x), rtol=2e-5, atol=3e-4)


@pytest.mark.parametrize("hidden", [CHANNELS // 2, CHANNELS // 2 + 2, CHANNELS])
def test_more_channels_than_are_worked_on_at_a_time(hidden: int) -> None:
    module = encoder(3, hidden=hidden, layers=1)
    x = torch.randn(3, 25, 9)
    fast: Any = inference_module(module)
    with torch.inference_mode():
        torch.testing.assert_close(fast.logits(x), plain_logits(module, x), rtol=2e-5, atol=2e-5)


def test_the_authors_codes() -> None:
    truth = tensors("s5vh_forward")
    fast: Any = inference_module(network(truth).encoder)
    with torch.inference_mode():
        torch.testing.assert_close(fast.logits(truth["x"]), truth["logits_normalised"], rtol=0, atol=1e-5)
        torch.testing.assert_close(fast(truth["x"]), truth["frame_codes"].mean(dim=1))


@pytest.mark.parametrize("threads", [1, 3])
def test_videos_without_and_with_threads(threads: int) -> None:
    """A video's code depends on neither the number of threads nor the videos beside it."""
    module = encoder(1)
    fast: Any = inference_module(module)
    x = torch.randn(7, 25, 9)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            found = fast.logits(x)
            assert fast(x[:0]).shape == (0, 24)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found, plain_logits(module, x), rtol=1e-5, atol=1e-5)


def described(module: nn.Module) -> Encoder:
    described = EncoderDescription(method="s5vh", bits=24, frames=25, dimensions=9, parameters={})
    return Encoder(described, module)


@pytest.mark.parametrize("backend", ["eager", "onnx"])
def test_codes_of_every_backend(backend: str) -> None:
    module = encoder(2)
    x = torch.randn(70, 25, 9)
    logits = plain_logits(module, x)
    # Bits within rounding of the threshold may flip.
    sure = (logits.abs().amin(dim=(1, 2)) > 2e-5).numpy()
    assert sure.mean() > 0.9
    expected = np.where(logits.gt(0).float().mul(2).sub(1).mean(dim=1).numpy() >= 0, 1, -1)
    np.testing.assert_array_equal(described(module).encode(x.numpy(), backend)[sure], expected[sure])


def test_bfloat16_flips_few_bits() -> None:
    module = encoder(2)
    x = torch.randn(70, 25, 9).numpy()
    flipped = described(module).encode(x) != described(module).encode(x, precision="bfloat16")
    assert flipped.mean() < 0.1


def test_export(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    module = encoder(2)
    described(module).export(tmp_path / "s5vh.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "s5vh.onnx", providers=["CPUExecutionProvider"])
    x = torch.randn(3, 25, 9).numpy()
    np.testing.assert_array_equal(session.run(["codes"], {"features": x})[0], described(module).encode(x))


def test_weights_are_copied() -> None:
    module = encoder(0)
    x = torch.randn(3, 25, 9)
    fast: Any = inference_module(module)
    with torch.inference_mode():
        before = fast.logits(x)
        for parameter in module.parameters():
            parameter.zero_()
        assert torch.equal(fast.logits(x), before)


def test_elementary_functions() -> None:
    """Relative errors, against float64."""
    x = np.concatenate([np.linspace(-126, 0, 5001), -np.logspace(-20, 0, 500)]).astype(np.float32)
    exact = x.astype(np.float64)
    np.testing.assert_allclose([power_of_two(value) for value in x], 2**exact, rtol=3e-7)
    assert 0 <= power_of_two(np.float32(-1e30)) < 2e-38
    wide = np.linspace(-80, 80, 4001).astype(np.float32)
    exact = wide.astype(np.float64)
    # Where they are small an error of the exponent's argument counts: 80 · 6e-8.
    np.testing.assert_allclose([softplus(value) for value in wide], np.log1p(np.exp(exact)), rtol=6e-6)
    np.testing.assert_allclose([silu(value) for value in wide], exact / (1 + np.exp(-exact)), rtol=6e-6, atol=1e-30)


def test_the_convolution_in_both_directions() -> None:
    random = np.random.default_rng(0)
    projected, weight, bias = (random.normal(size=shape).astype(np.float32) for shape in ((2, 6, 10), (4, 5), (5,)))
    for backward in (False, True):
        found = np.empty((2, 6, 5), np.float32)
        convolve(projected, weight, bias, backward, found)
        u = projected[:, ::-1, :5] if backward else projected[:, :, :5]
        padded = np.pad(u, ((0, 0), (3, 0), (0, 0)))
        total = bias + sum(weight[k] * padded[:, k : k + 6] for k in range(4))
        expected = total / (1 + np.exp(-total))
        np.testing.assert_allclose(found, expected[:, ::-1] if backward else expected, rtol=2e-5, atol=1e-6)
