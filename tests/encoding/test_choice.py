"""The faster backend: found once, remembered, and never at the price of another code."""

import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.errors import InputError
from bench.encoding import choice, encode_file
from bench.encoding.choice import faster_backend
from bench.encoding.encoder import Encoder
from bench.registry import load_registry

from .conftest import deep_encoder, random_videos

pytestmark = pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs the extra onnx")
VIDEOS = random_videos(4)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Encoder:
    """An encoder whose backends are replaced by functions of known speed and outputs; the cache is empty."""
    monkeypatch.setenv("VHBENCH_CACHE", str(tmp_path / "cache"))
    return deep_encoder("mlp-mixer")


def backends(monkeypatch: pytest.MonkeyPatch, eager: float, onnx: float, outputs: float = 1) -> None:
    """Have the backends take so many seconds of a clock; `outputs` are those of onnx, where eager gives 1."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def forward(self: Encoder, backend: str) -> Any:
        seconds, found = {"eager": (eager, 1.0), "onnx": (onnx, outputs)}[backend]

        def run(videos: np.ndarray) -> np.ndarray:
            now[0] += seconds
            return np.full((len(videos), 8), found, dtype=np.float32)

        return run

    monkeypatch.setattr(Encoder, "forward", forward)


@pytest.mark.parametrize(
    ("eager", "onnx", "outputs", "expected"),
    [(2, 1, 1, "onnx"), (1, 2, 1, "eager"), (2, 1, -1, "eager"), (2, 1.9, 1, "eager")],
)
def test_the_faster_one_that_gives_the_same_codes(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, eager: float, onnx: float, outputs: float, expected: str
) -> None:
    backends(monkeypatch, eager, onnx, outputs)
    assert faster_backend(encoder, "digest", VIDEOS) == expected


def test_it_is_remembered_for_one_encoder(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    backends(monkeypatch, 2, 1)
    assert faster_backend(encoder, "one", VIDEOS) == "onnx"
    backends(monkeypatch, 1, 2)
    assert [faster_backend(encoder, digest, VIDEOS) for digest in ("one", "other")] == ["onnx", "eager"]


def test_eager_where_there_is_no_choice(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backends(monkeypatch, 2, 1)
    monkeypatch.setattr(choice, "cache_folder", lambda: None)
    assert faster_backend(encoder, "digest", VIDEOS) == "eager"
    (tmp_path / "file").touch()
    monkeypatch.setattr(choice, "cache_folder", lambda: tmp_path / "file")
    assert faster_backend(encoder, "digest", VIDEOS) == "onnx"
    assert "is not remembered" in capsys.readouterr().err

    def refused(self: Encoder, backend: str) -> Any:
        if backend == "onnx":
            raise InputError("cannot be exported")

    monkeypatch.setattr(Encoder, "forward", refused)
    assert faster_backend(encoder, "digest", VIDEOS) == "eager"


def test_a_large_file_is_encoded_by_the_faster_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The choice is made for large files in float32 only; the codes are the same."""
    deep_encoder("mlp-mixer").save(tmp_path / "encoder")
    asked: list[str] = []

    def chosen(encoder: Encoder, digest: str, videos: np.ndarray) -> str:
        asked.append(digest)
        return "onnx"

    monkeypatch.setattr(encode_file, "faster_backend", chosen)
    monkeypatch.setattr(encode_file, "MANY", 100)
    for count, precision in ((99, "float32"), (100, "float32"), (100, "bfloat16")):
        np.save(tmp_path / "features.npy", random_videos(count))
        arguments = (tmp_path / "encoder", tmp_path / "features.npy", tmp_path / "codes.npy", load_registry())
        encode_file.encode_file(*arguments, precision=precision)
        if precision == "float32":
            expected = deep_encoder("mlp-mixer").encode(random_videos(count))
            np.testing.assert_array_equal(np.load(tmp_path / "codes.npy"), expected)
    assert len(asked) == 1
