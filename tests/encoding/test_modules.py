"""Inference modules against the plain definitions: equal outputs, whatever the sizes and the weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.bth.inference import gelu
from bench.methods.bth.network import BthEncoder
from bench.methods.mcmsh.gates import ShortRangeGate
from bench.methods.mcmsh.inference import dense
from bench.methods.mcmsh.mixer import Branch, McMlp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from bench.data.dataset import Dataset
from bench.encoding.encoder import Encoder
from bench.encoding.fitting import fit
from bench.encoding.modules import inference_module
from bench.learning.layers import ChannelProduct, FrameProduct
from tests.learning.stages import quick

from .conftest import DEEP, golden_encoder, plain, random_videos, stirred

RANGES: tuple[Branch, ...] = ("long", "middle", "short")


def test_products_are_linear_layers_along_either_axis() -> None:
    x = torch.randn(5, 3, 4)
    weight, bias = torch.randn(7, 4), torch.randn(7)
    torch.testing.assert_close(ChannelProduct(weight, bias)(x), torch.einsum("tbc,sc->tbs", x, weight) + bias)
    torch.testing.assert_close(ChannelProduct(weight)(x), torch.einsum("tbc,sc->tbs", x, weight))
    weight = torch.randn(7, 5)
    expected = torch.einsum("tbc,st->sbc", x, weight)
    torch.testing.assert_close(FrameProduct(weight, bias)(x), expected + bias[:, None, None])
    torch.testing.assert_close(FrameProduct(weight)(x), expected)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_dense_convolutions_are_the_grouped_ones(groups: int) -> None:
    gate = ShortRangeGate(8, 4, groups)
    x = torch.randn(2, 8, 6)
    full = dense(gate.reduce).float().permute(0, 2, 1)
    torch.testing.assert_close(functional.conv1d(x, full, padding=1), gate.reduce(x))


def test_gelu_is_torchs_tanh_approximation() -> None:
    x = torch.linspace(-12, 12, 4001)
    torch.testing.assert_close(gelu(x), functional.gelu(x, approximate="tanh"), rtol=1e-5, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(1, 30),
    sixteenths=st.integers(1, 4),
    branches=st.lists(st.sampled_from(RANGES), unique=True, max_size=3),
    videos=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_mc_mlp_of_any_size(frames: int, sixteenths: int, branches: list[Branch], videos: int, seed: int) -> None:
    network = stirred(McMlp(frames, 9, 6, 16 * sixteenths, branches), seed)
    x = random_videos(videos, frames, 9, seed)
    expected = plain(network, x)
    # Sums round in proportion to what is added, which cancels in small outputs.
    tolerance = 1e-5 * max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(plain(inference_module(network), x), expected, rtol=0, atol=tolerance)


@settings(max_examples=25, deadline=None)
@given(frames=st.integers(1, 30), half=st.integers(4, 40), videos=st.integers(1, 5), seed=st.integers(0, 1000))
def test_bth_of_any_size(frames: int, half: int, videos: int, seed: int) -> None:
    network: Any = stirred(BthEncoder(frames, 9, 6, 2 * half), seed)
    x = torch.from_numpy(random_videos(videos, frames, 9, seed))
    with torch.inference_mode():
        # Frame codes are rounded: what is rounded must agree.
        expected = network.binary(network.hidden(x))
        given: Any = inference_module(network)
        torch.testing.assert_close(given.frame_outputs(x), expected, rtol=1e-5, atol=1e-5)


def test_codes_of_random_weights(deep: Encoder) -> None:
    videos = random_videos(150)
    relaxed = plain(deep.module, videos)
    np.testing.assert_allclose(deep.forward()(videos), relaxed, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(deep.encode(videos), np.where(relaxed >= 0, 1, -1))


@pytest.mark.parametrize("name", DEEP)
def test_codes_of_trained_weights(name: str, tiny: Dataset) -> None:
    encoder = fit(name, tiny, bits=16, device="cpu", **quick(name, epochs=2, batch_size=20))
    videos = tiny.gallery.features[:]
    relaxed = plain(encoder.module, videos)
    np.testing.assert_allclose(encoder.forward()(videos), relaxed, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(videos), np.where(relaxed >= 0, 1, -1))


@pytest.mark.parametrize("name", ["mcmsh", "bth"])
@pytest.mark.filterwarnings("ignore:.*never uses them")
def test_the_authors_outputs(name: str, tmp_path: Path) -> None:
    encoder, truth = golden_encoder(name, tmp_path)
    relaxed = truth["relaxed"] if name == "mcmsh" else truth["frame_codes"].mean(axis=1)
    np.testing.assert_allclose(encoder.forward()(truth["x"]), relaxed, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(truth["x"]), truth["codes"])


def test_weights_are_copied(merged: Encoder) -> None:
    videos = random_videos(3)
    module = inference_module(merged.module)
    before = plain(module, videos)
    with torch.no_grad():
        for parameter in merged.module.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(plain(module, videos), before)
