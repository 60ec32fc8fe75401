"""Exported encoders: what ONNX Runtime gives from the file alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.base.errors import InputError
from bench.encoding.encoder import Encoder
from bench.encoding.modules import EncoderDescription

from .conftest import deep_encoder, golden_encoder, plain, random_videos

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def test_codes_of_the_file(deep: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "encoder.onnx"
    deep.export(path)
    assert [each.name for each in tmp_path.iterdir()] == ["encoder.onnx"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 2, 7):
        videos = random_videos(count)
        codes, relaxed = session.run(None, {"features": videos})
        expected = plain(deep.module, videos)
        assert codes.dtype == np.int8
        np.testing.assert_allclose(relaxed, expected, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(codes, np.where(expected >= 0, 1, -1))
    stored = session.get_modelmeta().custom_metadata_map
    description = deep.description
    assert stored["method"] == description.method
    assert (stored["bits"], stored["frames"], stored["dimensions"]) == ("24", "25", "40")
    assert json.loads(stored["parameters"]) == description.parameters
    assert stored["convention"] == "codes: int8 in -1, +1; +1 where relaxed >= 0"


class Nothing(nn.Module):
    """Relaxed outputs of exactly 0, or of −0.0 where the features are negative."""

    def forward(self, videos: torch.Tensor) -> torch.Tensor:
        return videos[:, 0, :8] * 0.0


def test_zero_and_minus_zero_are_plus_one(tmp_path: Path) -> None:
    description = EncoderDescription(method="nothing", bits=8, frames=2, dimensions=9, parameters={})
    Encoder(description, Nothing()).export(tmp_path / "nothing.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "nothing.onnx", providers=["CPUExecutionProvider"])
    videos = np.stack([np.ones((2, 9)), -np.ones((2, 9))]).astype(np.float32)
    codes, relaxed = session.run(None, {"features": videos})
    assert np.signbit(relaxed).any(axis=1).tolist() == [False, True]
    np.testing.assert_array_equal(codes, np.ones((2, 8)))


@pytest.mark.parametrize("name", ["mcmsh", "bth"])
@pytest.mark.filterwarnings("ignore:.*never uses them")
def test_the_authors_codes(name: str, tmp_path: Path) -> None:
    encoder, truth = golden_encoder(name, tmp_path)
    encoder.export(tmp_path / "authors.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "authors.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(["codes"], {"features": truth["x"]})[0], truth["codes"])


def test_only_its_own_files_are_replaced(tmp_path: Path) -> None:
    encoder = deep_encoder("mlp-mixer")
    path = tmp_path / "encoder.onnx"
    path.symlink_to("disk.onnx")
    encoder.export(path)
    encoder.export(path)
    assert path.is_symlink()
    model = onnx.load(path)
    model.producer_name = "somebody"
    for content in (model.SerializeToString(), b"notes"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is no encoder exported by vhbench, and would be overwritten"):
            encoder.export(path)
        assert path.read_bytes() == content


def test_mistakes(tmp_path: Path) -> None:
    encoder = deep_encoder("mlp-mixer")
    with pytest.raises(InputError, match=r"encoder\.pt: encoders are exported as ONNX; name a file"):
        encoder.export(tmp_path / "encoder.pt")
    with pytest.raises(InputError, match="name a file in an existing folder"):
        encoder.export(tmp_path / "nowhere" / "encoder.onnx")
