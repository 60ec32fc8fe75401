"""Backends and precisions: the same codes by every way, and one line where a way is closed."""

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench.base.errors import InputError
from bench.data.dataset import Dataset
from bench.encoding.backends import CHUNK, prepare
from bench.encoding.encoder import Encoder
from bench.encoding.fitting import fit
from bench.registry import load_registry

from .conftest import deep_encoder, plain, random_videos

needs_onnx = pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs the extra onnx")


@needs_onnx
def test_onnx_codes(deep: Encoder) -> None:
    videos = random_videos(CHUNK + 3)
    relaxed = plain(deep.module, videos)
    given = np.concatenate([deep.forward("onnx")(videos[:CHUNK]), deep.forward("onnx")(videos[CHUNK:])])
    np.testing.assert_allclose(given, relaxed, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(deep.encode(videos, backend="onnx"), np.where(relaxed >= 0, 1, -1))


def test_each_precision_computes_for_itself() -> None:
    """Rounded to eight bits, outputs differ, and not by much; what was computed before changes nothing."""
    encoder, videos = deep_encoder("mlp-mixer"), random_videos(8)
    exact = encoder.forward()(videos)
    rough = encoder.forward(precision="bfloat16")(videos)
    assert 1e-5 < np.abs(rough - exact).max() < 0.1
    np.testing.assert_array_equal(encoder.forward()(videos), exact)


@needs_onnx
def test_onnx_codes_of_a_shallow_method(tiny: Dataset) -> None:
    encoder = fit("itq", tiny, bits=8, device="cpu")
    videos = tiny.gallery.features
    np.testing.assert_array_equal(encoder.encode(videos, backend="onnx"), encoder.encode(videos))


def test_compiled_batches_are_filled_up(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []

    def compile_nothing(network: nn.Module, **_: Any) -> Any:
        def run(videos: torch.Tensor) -> torch.Tensor:
            batches.append(len(videos))
            outputs: torch.Tensor = network(videos)
            return outputs

        return run

    monkeypatch.setattr(torch, "compile", compile_nothing)
    encoder = deep_encoder("mixer-mrd")
    for count in (1, 2, CHUNK - 1, CHUNK, 2 * CHUNK + 1):
        videos = random_videos(count)
        np.testing.assert_array_equal(encoder.encode(videos, backend="compiled"), encoder.encode(videos))
    assert set(batches) == {1, CHUNK}


def test_what_cannot_be_compiled_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor.exc import InvalidCxxCompiler

    def no_compiler(*_: Any, **__: Any) -> Any:
        def run(_: torch.Tensor) -> torch.Tensor:
            raise InvalidCxxCompiler

        return run

    monkeypatch.setattr(torch, "compile", no_compiler)
    with pytest.raises(InputError, match=r"backend compiled: bth cannot be compiled here \(.*install a C\+\+ compiler"):
        deep_encoder("bth").encode(random_videos(1), backend="compiled")


@pytest.mark.parametrize("method", ["ssth", "ssvh"])
def test_steps_that_are_compiled_already_are_not_compiled_again(method: str) -> None:
    network = load_registry().method(method)(8, load_registry().method(method).Parameters()).build(25, 40).eval()
    with pytest.raises(InputError, match=f"backend compiled: {method} runs its steps in a compiled loop already"):
        prepare(network, method, (25, 40), "compiled", "float32")


def test_bfloat16_flips_few_bits(merged: Encoder) -> None:
    videos = random_videos(CHUNK)
    codes = merged.encode(videos, precision="bfloat16")
    # Half of the bits, if there were nothing in common.
    assert (codes != merged.encode(videos)).mean() < 0.03


def test_mistakes(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, videos = deep_encoder("mlp-mixer"), random_videos(1)
    with pytest.raises(InputError, match="unknown backend 'onxx': did you mean onnx"):
        encoder.encode(videos, backend="onxx")
    with pytest.raises(InputError, match="unknown precision 'float16': did you mean bfloat16"):
        encoder.encode(videos, precision="float16")
    with pytest.raises(InputError, match="backend onnx encodes in float32"):
        encoder.encode(videos, backend="onnx", precision="bfloat16")
    with pytest.raises(InputError, match="lsh encodes in float32 only"):
        fit("lsh", tiny, bits=8).encode(tiny.gallery.features, precision="bfloat16")
    with pytest.raises(InputError, match=r"\(frames, dimensions\) = \(25, 9\); this mlp-mixer encoder was fitted on"):
        encoder.encode(random_videos(1, dimensions=9))
    monkeypatch.setattr("bench.encoding.onnx_file.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"not installed: pip install 'vhbench\[onnx\]'"):
        encoder.encode(videos, backend="onnx")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_video_with_a_bad_value_is_named(bad: float) -> None:
    videos = random_videos(100)
    videos[70, 3, 4] = videos[90, 0, 0] = bad
    with pytest.raises(InputError, match="features of video 70: NaN or infinite values"):
        deep_encoder("mlp-mixer").encode(videos)


def test_large_finite_values_are_no_mistake() -> None:
    videos = np.full((2, 25, 40), 3e38, dtype=np.float32)
    encoder = deep_encoder("mlp-mixer")
    with pytest.raises(RuntimeError, match="mlp-mixer gave NaN or infinite outputs"):
        encoder.encode(videos)
