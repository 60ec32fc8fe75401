"""Relaxed outputs of exactly 0 and −0.0 are +1, wherever codes are made."""

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.mcmsh.losses import sign
from torch import Tensor, nn

import bench
from bench.data.dataset import Dataset
from bench.encoding.encoder import Encoder
from bench.encoding.modules import EncoderDescription

from .conftest import deep_encoder, random_videos

HAS_ONNX = importlib.util.find_spec("onnxruntime") is not None
BACKENDS = ["eager", "compiled",
            pytest.param("onnx", marks=pytest.mark.skipif(not HAS_ONNX, reason="needs the extra onnx"))]  # fmt: skip


class FirstFrame(nn.Module):
    """(n, T, D) → (n, D): the first frame as it is."""

    def forward(self, videos: Tensor) -> Tensor:
        return videos[:, 0]


@pytest.fixture(autouse=True)
def _compiles_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler's own arithmetic is not what is tested, and it takes a minute."""
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)


@pytest.mark.parametrize("backend", BACKENDS)
def test_zeros_of_either_sign(backend: str) -> None:
    description = EncoderDescription(method="lsh", bits=5, frames=2, dimensions=5, parameters={})
    videos = np.zeros((1, 2, 5), np.float32)
    videos[0, 0] = [0.0, -0.0, 1e-30, -1e-30, -1.0]
    assert np.signbit(videos[0, 0, 1])
    codes = Encoder(description, FirstFrame()).encode(videos, backend=backend)
    np.testing.assert_array_equal(codes, [[1, 1, 1, -1, -1]])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", ["mcmsh", "mlp-mixer", "mixer-mrd"])
def test_zeros_of_a_mixer(method: str, backend: str) -> None:
    encoder = deep_encoder(method)
    module: Any = encoder.module
    nn.init.zeros_(module.binary.weight)
    nn.init.zeros_(module.binary.bias)
    assert (encoder.forward(backend)(random_videos(3)) == 0).all()
    assert (encoder.encode(random_videos(3), backend=backend) == 1).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_zeros_of_bth(backend: str) -> None:
    """Of two frames' codes that differ the mean is exactly 0."""
    encoder, videos = deep_encoder("bth", frames=2), random_videos(40, frames=2)
    module: Any = encoder.module
    with torch.inference_mode():
        codes = module.frame_codes(module.hidden(torch.from_numpy(videos))).numpy()
    undecided = codes[:, 0] != codes[:, 1]
    assert undecided.any()
    found = encoder.encode(videos, backend=backend)
    assert (found[undecided] == 1).all()
    np.testing.assert_array_equal(found[~undecided], codes[:, 0][~undecided])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", ["itq", "lsh", "pcah"])
def test_zeros_of_a_projection(method: str, backend: str, tiny: Dataset) -> None:
    """A video that is the training mean, before directions of either sign."""
    encoder = bench.fit(method, tiny, bits=8, device="cpu")
    module: Any = encoder.module
    module.mean.data.zero_()
    module.weight.data[:, 0] = -module.weight.data[:, 0].abs()
    assert (encoder.encode(np.zeros((2, 25, 32), np.float32), backend=backend) == 1).all()


def test_zeros_in_training() -> None:
    relaxed = torch.tensor([0.0, -0.0, 1e-30, -1e-30, 2.0], requires_grad=True)
    codes = sign(relaxed)
    assert codes.tolist() == [1, 1, 1, -1, 1]
    # The gradient is that of clamp to [−1, 1].
    codes.sum().backward()
    assert relaxed.grad is not None
    assert relaxed.grad.tolist() == [1, 1, 1, 1, 0]
