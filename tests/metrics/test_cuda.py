"""The device path, by Triton's interpreter on the processor, or on CUDA where there is a device: the same scores."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.metrics import cuda, evaluate, evaluate_neighbours, evaluator, pack_codes
from bench.metrics.labels import LabelLists, Problem, bit_planes, byte_planes, label_lists
from bench.metrics.tie_sums import Counts

KERNEL = "bench.metrics.cuda_kernel"


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The device on which the kernel runs."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    if torch.cuda.is_available():
        yield "cuda"
        return
    # The kernel alone is interpreted: what Triton itself defines as a kernel, such as tl.zeros, may be loaded already.
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(cuda, "TILE", 64)  # several tiles
    monkeypatch.setattr(cuda, "ROWS", 32)  # and launches, of two blocks
    sys.modules.pop(KERNEL, None)
    yield "cpu"
    sys.modules.pop(KERNEL, None)


def scores_on(device: str | None, call: Any, *arguments: Any, **options: Any) -> str:
    """The scores as text, counted on a device, or by the processor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluator, "find_device", lambda *_: device)
        return json.dumps(call(*arguments, **options).to_json())


@pytest.mark.parametrize(("bits", "kind"), [(1, "index"), (64, "multi-hot"), (65, "wide"), (100, "index")])
def test_the_same_numbers(device: str, capsys: pytest.CaptureFixture[str], bits: int, kind: str) -> None:
    rng = np.random.default_rng(bits)
    codes = rng.integers(0, 2, (90, bits))
    # Labels of one word, of two, and of 66.
    columns = 2100 if kind == "wide" else 40
    labels: np.ndarray = rng.integers(0, 30, 90) if kind == "index" else rng.random((90, columns)) < 2 / columns
    # Queries that are the gallery, and queries apart from it, with fewer items in the last group and tile.
    among = [codes[:10], labels[:10]], {"protocol": "strict"}
    apart = [codes[:10], labels[:10], codes[10:], labels[10:]], {"whole_ranking": False, "ks": (5, 20)}
    for arguments, options in (among, apart):
        on_device = scores_on(device, evaluate, *arguments, **options)
        assert on_device == scores_on(None, evaluate, *arguments, **options)
    assert capsys.readouterr().err == ""


def test_neighbours(device: str) -> None:
    rng = np.random.default_rng(0)
    codes, neighbours = rng.integers(0, 2, (35, 16)), (np.arange(35)[:, None] + [1, 5]) % 35
    on_device = scores_on(device, evaluate_neighbours, codes, neighbours)
    assert on_device == scores_on(None, evaluate_neighbours, codes, neighbours)


def test_counts_by_hand(device: str) -> None:
    # Query 1 has no label. Query 0 shares class 33 with items 0 and 2, at distances 0 and 2; item 1 is at distance 1.
    codes = pack_codes([[0, 0], [0, 1], [1, 1]])
    labels = np.zeros((3, 34), dtype=np.uint8)
    labels[[0, 2], 33] = labels[1, 0] = 1
    lists = label_lists(labels[[0, 0]] * np.array([[1], [0]], dtype=np.uint8), labels)
    counts = cuda.DeviceCounter(problem(codes.words[[0, 0]], codes, lists), 2, device, unwanted)(0, 2)
    np.testing.assert_array_equal(counts.totals, [[1, 1, 1], [1, 1, 1]])
    np.testing.assert_array_equal(counts.relevants, [[1, 0, 1], [0, 0, 0]])


def unwanted(_start: int, _stop: int) -> Counts:
    raise AssertionError("the processor counts")


def problem(query_words: Any, gallery: Any, lists: LabelLists) -> Problem:
    """The problem of queries, as words, and a gallery."""
    queries = byte_planes(type(gallery)(query_words, gallery.bits)).T
    return Problem(np.ascontiguousarray(queries), byte_planes(gallery), lists, bit_planes(lists, len(gallery)))


def test_a_device_that_refuses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_arguments: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 MiB")

    codes, labels = np.random.default_rng(0).integers(0, 2, (90, 8)), np.arange(90) % 4
    monkeypatch.setattr(cuda.DeviceCounter, "_move", full)
    assert scores_on("cpu", evaluate, codes, labels) == scores_on(None, evaluate, codes, labels)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "the CUDA device does not evaluate (CUDA out of memory.); the processor does, with the same result"


def test_a_device_that_refuses_later(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Launches of two blocks each, of which the third fails; the processor takes the place of the kernel."""
    codes, labels = np.random.default_rng(0).integers(0, 2, (90, 8)), np.arange(90) % 4
    launched: list[int] = []

    def count(self: cuda.DeviceCounter, first: int) -> np.ndarray:
        launched.append(first)
        if first == 64:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        counts = self._processor(first, first + 32)
        return np.stack([counts.totals - counts.relevants, counts.relevants], axis=1)

    monkeypatch.setattr(cuda, "ROWS", 32)
    monkeypatch.setattr(cuda.DeviceCounter, "_count", count)
    assert scores_on("cpu", evaluate, codes, labels) == scores_on(None, evaluate, codes, labels)
    assert launched == [0, 32, 64]
    (line,) = capsys.readouterr().err.splitlines()
    assert "illegal memory access" in line


def test_when_a_device_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, labels = pack_codes(np.zeros((4, 8), dtype=np.int8)), np.zeros((4, 3), dtype=np.uint8)
    small = problem(codes.words, codes, label_lists(labels, labels))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda, "find_spec", lambda name: name)
    assert cuda.find_device(small, 8) is None
    monkeypatch.setattr(cuda, "LARGE", 16)
    assert cuda.find_device(small, 8) == "cuda:0"
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_initialized", lambda: True)
        patch.setattr(torch.cuda, "current_device", lambda: 1)
        assert cuda.find_device(small, 8) == "cuda:1"
    assert cuda.find_device(small, 1025) is None
    many = small.labels._replace(class_starts=np.zeros(4098, dtype=np.int64))
    assert cuda.find_device(small._replace(labels=many), 8) is None
    with monkeypatch.context() as patch:
        patch.setattr(cuda, "find_spec", lambda _name: None)
        assert cuda.find_device(small, 8) is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cuda.find_device(small, 8) is None


def test_torch_is_imported_for_huge_problems_only() -> None:
    program = (
        "import sys; from bench.metrics import cuda, evaluate; cuda.find_spec = lambda name: name; "
        "cuda.LARGE, cuda.HUGE = 1, 4; evaluate([[0]], [0]); print('torch' in sys.modules); "
        "evaluate([[0], [1]], [0, 1]); print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    root = Path(__file__).parents[2]
    output = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    assert output.split() == ["False", "True"]
