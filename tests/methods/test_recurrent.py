"""SSTH's and SSVH's networks against outputs of the authors' code, their sizes, first weights and inference forms."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.shared.kernels import tanh
from bench.methods.shared.recurrent import Recurrence, StepNorm, sign_step
from bench.methods.ssvh import Ssvh, SsvhParameters
from bench.methods.ssvh.network import alternate
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import bench
from bench.base.errors import InputError
from bench.encoding.encoder import Encoder
from bench.encoding.modules import EncoderDescription, inference_module
from bench.profile.counts import flops, parameter_count
from tests.methods.masked import assert_near, tensors
from tests.methods.recurrent import METHODS, built, names, network, stirred, weights


def decoded(method: str, model: Any, videos: Tensor) -> Any:
    return model(videos)[1] if method == "ssvh" else model(videos)


@pytest.mark.parametrize("method", METHODS)
def test_every_stage(method: str) -> None:
    truth, theirs = tensors(f"{method}_forward"), names(method).names
    model = network(method, truth)
    traces: dict[str, Any] = {}
    stacks = {name: part for name, part in model.named_modules() if isinstance(part, Recurrence)}
    for name, part in stacks.items():
        stack = theirs[f"{name}.bias.cell"].removesuffix(".b_cell")
        part.register_forward_hook(lambda _, given, trace, stack=stack: traces.update({stack: trace}))
    with torch.no_grad():
        frames = decoded(method, model, truth["x"])
        relaxed = model.encoder(truth["x"])
    assert len(traces) == len(stacks) == (4 if method == "ssth" else 8)
    for stack, trace in traces.items():
        assert_near(trace.hidden, truth[f"state/{stack}.hidden"], stack)
        assert_near(trace.cell, truth[f"state/{stack}.cell"], stack)
    for name in ("backward", "forward", "mean"):
        assert_near(getattr(frames, name), truth[f"decoded/{name}"], name)
    assert_near(relaxed, truth["last_hidden"])
    assert torch.equal(torch.where(relaxed >= 0, 1, -1), truth["codes"].long())


def test_the_binary_step() -> None:
    truth = tensors("ssth_hash_layer")
    hidden = truth["input"].requires_grad_()
    codes = sign_step(hidden)
    assert torch.equal(codes, truth["output"])
    codes.backward(truth["upstream"])
    inside = hidden.detach().abs() != 1
    assert hidden.grad is not None
    assert torch.equal(hidden.grad[inside], truth["gradient"][inside])
    # Halves go away from 0, and below 6e-8 the sum h + 1 is rounded to 1.
    assert sign_step(torch.tensor([0.0, -0.0, -2e-8, -1e-7])).tolist() == [1, 1, 1, -1]


@pytest.mark.filterwarnings("ignore:.*never uses them")
@pytest.mark.parametrize("method", METHODS)
def test_weights_under_the_authors_names(method: str, tmp_path: Path) -> None:
    truth = tensors(f"{method}_forward")
    bits, frames = truth["codes"].shape[1], truth["x"].shape[1]
    for number, wrapped in enumerate(
        (weights(truth), {"model": {f"module.{name}": value for name, value in weights(truth).items()}})
    ):
        torch.save(wrapped, tmp_path / f"{number}.pth")
        encoder = bench.load_checkpoint(method, tmp_path / f"{number}.pth", bits=bits)
        assert encoder.description.frames == frames
        np.testing.assert_array_equal(encoder.encode(truth["x"].numpy()), truth["codes"].numpy())
    with pytest.raises(InputError, match=rf"holds an encoder of {frames}( or {frames + 1})? frames, not 3; leave"):
        bench.load_checkpoint(method, tmp_path / "0.pth", bits=bits, frames=3)


@pytest.mark.filterwarnings("ignore:.*never uses them")
def test_a_frame_too_many_is_left_out(tmp_path: Path) -> None:
    truth = tensors("ssvh_forward")
    torch.save(weights(truth), tmp_path / "a.pth")
    bits, frames = truth["codes"].shape[1], truth["x"].shape[1]
    encoder = bench.load_checkpoint("ssvh", tmp_path / "a.pth", bits=bits, frames=frames + 1)
    longer = torch.cat([truth["x"], torch.randn_like(truth["x"][:, :1])], dim=1)
    np.testing.assert_array_equal(encoder.encode(longer.numpy()), truth["codes"].numpy())
    with pytest.raises(InputError, match="it needs videos of 2 frames or more"):
        Ssvh(8, SsvhParameters()).check((100, 1, 20))


@pytest.mark.parametrize(
    ("method", "frames", "trained", "encode", "statistics", "products"),
    [
        ("ssth", 25, 1_924_352, 1_068_608, 3_200, 26_624_000),
        ("ssvh", 25, 2_061_568, 1_103_232, 4_608, 25_952_256),
        ("ssvh", 30, None, 1_104_384, 5_760, 32_440_320),
    ],
)
def test_sizes_at_the_papers_dimensions(
    method: str, frames: int, trained: int | None, encode: int, statistics: int, products: int
) -> None:
    model: Any = built(method, 64).network(frames, 4096).eval()
    assert trained in (None, parameter_count(model))
    assert parameter_count(model.encoder) == encode
    assert sum(value.numel() for value in model.encoder.buffers()) == statistics
    assert flops(model.encoder, frames, 4096)[0] == products
    if method == "ssth":
        assert flops(model, frames, 4096)[0] == 40_828_928
        assert sum(value.numel() for value in model.buffers()) == 9_728


def test_first_weights() -> None:
    torch.manual_seed(0)
    cells = Recurrence(3, 64, 512)
    limit = (6 / (512 + 64)) ** 0.5
    for gate, parameter in cells.enter.items():
        weight = parameter.detach()
        assert 0.99 * limit < float(weight.abs().max()) <= limit, gate
        assert float(weight.std()) == pytest.approx(limit / 3**0.5, rel=0.02), gate
    for weight in cells.recur.values():
        torch.testing.assert_close(weight @ weight.T, 1.21 * torch.eye(64), rtol=0, atol=1e-5)
    assert 0.09 < max(float(weight.detach().abs().max()) for weight in cells.peephole.values()) <= 0.1
    assert {gate: float(bias.detach().unique()) for gate, bias in cells.bias.items()} == {
        "ingate": 0, "forgetgate": 1, "cell": 0, "outgate": 0,
    }  # fmt: skip
    norm = cells.norms[0]
    assert isinstance(norm, StepNorm)
    assert [float(value.unique()) for value in norm.state_dict().values()] == [1, 0, 0, 1]


def test_statistics_follow_the_batches() -> None:
    """By hand: means 2 and 4, deviations 1 and 3."""
    norm = StepNorm(1)
    first, second = (norm(torch.tensor(values)[:, None]) for values in ([1.0, 3.0], [1.0, 7.0]))
    torch.testing.assert_close(torch.cat([first, second]), torch.tensor([-1.0, 1, -1, 1])[:, None])
    assert norm.running_mean.item() == pytest.approx(0.99 * 0.02 + 0.04)
    assert norm.running_deviation.item() == pytest.approx(0.99 * (0.99 + 0.01) + 0.03)
    found = norm.eval()(torch.tensor([[5.0]]))
    assert found.item() == pytest.approx((5 - 0.0598) / 1.02)


def test_states_alternate() -> None:
    first, second = torch.arange(6.0).view(1, 3, 2), -torch.arange(6.0).view(1, 3, 2)
    assert alternate(first, second)[0].tolist() == [[0, 1], [0, -1], [2, 3], [-2, -3], [4, 5], [-4, -5]]


@settings(max_examples=12, deadline=None)
@given(
    method=st.sampled_from(METHODS),
    frames=st.integers(2, 9),
    bits=st.integers(1, 20),
    videos=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_the_inference_form_is_the_same_function(method: str, frames: int, bits: int, videos: int, seed: int) -> None:
    module: Any = stirred(built(method, bits).build(frames, 7), seed)
    x = torch.randn(videos, frames, 7, generator=torch.Generator().manual_seed(seed))
    fast = inference_module(module)
    with torch.inference_mode():
        expected = module(x)
        torch.testing.assert_close(fast(x), expected, rtol=2e-5, atol=2e-5)
        traced: Any = torch.jit.trace(fast, x, check_trace=False)  # type: ignore[no-untyped-call]
        torch.testing.assert_close(traced(x), expected, rtol=2e-5, atol=2e-5)
        rough = fast.to(torch.bfloat16)(x)
    assert rough.dtype == torch.float32


@pytest.mark.parametrize("method", METHODS)
def test_an_exported_file(method: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    own = built(method, 12)
    module = stirred(own.build(7, 9))
    description = EncoderDescription(
        method=method, bits=12, frames=7, dimensions=9, parameters=own.parameters.model_dump(mode="json")
    )
    Encoder(description, module).export(tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    for videos in (1, 5):
        x = torch.randn(videos, 7, 9)
        codes, relaxed = session.run(None, {"features": x.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(relaxed), module(x), rtol=2e-5, atol=2e-5)
        np.testing.assert_array_equal(codes, np.where(relaxed >= 0, 1, -1))


def test_tanh_of_all_sizes() -> None:
    x = np.concatenate([np.linspace(-12, 12, 4001), np.geomspace(1e-12, 1, 500), [0, 1, -1, 200]]).astype(np.float32)
    found = np.array([tanh(value) for value in x])
    np.testing.assert_allclose(found, np.tanh(x.astype(np.float64)), rtol=3e-7)


def test_a_videos_code_is_its_own() -> None:
    """It depends on neither the number of threads nor the videos beside it."""
    fast = inference_module(stirred(built("ssvh", 16).build(8, 9)))
    x = torch.randn(7, 8, 9)
    before = torch.get_num_threads()
    with torch.inference_mode():
        alone = torch.cat([fast(x[number : number + 1]) for number in range(7)])
        try:
            torch.set_num_threads(3)
            together = fast(x)
        finally:
            torch.set_num_threads(before)
    torch.testing.assert_close(together, alone)
