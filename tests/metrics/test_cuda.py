"""The device path, run on PyTorch's processor device, and on CUDA where there is one: the same scores."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.metrics import cuda, evaluate, evaluator

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("bits", [1, 7, 8, 64, 65, 300, 2050])
@pytest.mark.parametrize("kind", ["index", "multi-hot"])
def test_the_same_numbers(monkeypatch: pytest.MonkeyPatch, device: str, bits: int, kind: str) -> None:
    rng = np.random.default_rng(bits)
    codes, queries = rng.integers(0, 2, (700, bits)), rng.integers(0, 2, (70, bits))
    labels: np.ndarray
    query_labels: np.ndarray
    if kind == "index":
        labels, query_labels = rng.integers(0, 10, 700), rng.integers(0, 12, 70)
    else:
        labels, query_labels = rng.random((700, 9)) < 0.2, rng.random((70, 9)) < 0.2
    monkeypatch.setattr(cuda, "ELEMENTS", 1 << 16)  # several tiles
    for protocol in ("paper", "strict"):
        for arguments in ([codes, labels], [queries, query_labels, codes, labels]):
            monkeypatch.setattr(evaluator, "find_device", lambda _pairs: None)
            truth = evaluate(*arguments, protocol=protocol)
            monkeypatch.setattr(evaluator, "find_device", lambda _pairs: device)
            scores = evaluate(*arguments, protocol=protocol)
            assert json.dumps(scores.to_json()) == json.dumps(truth.to_json())


def test_queries_without_any_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator, "find_device", lambda _pairs: "cpu")
    assert evaluate([[0], [1]], [[0, 0], [0, 0]]).queries_without_relevant == 2


@pytest.mark.parametrize("failures", [1, 3, 1000])
def test_memory_that_runs_out(monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    """The device refuses memory some times, or always: smaller tiles, then the processor, give the same scores."""
    rng = np.random.default_rng(0)
    codes, labels = rng.integers(0, 2, (300, 16)), rng.integers(0, 5, 300)
    monkeypatch.setattr(evaluator, "find_device", lambda _pairs: None)
    truth = json.dumps(evaluate(codes, labels).to_json())
    refused: list[int] = []
    bincount = torch.bincount

    def short_of_memory(*arguments: Any, **options: Any) -> torch.Tensor:
        if len(refused) < failures:
            refused.append(len(arguments[0]))
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return bincount(*arguments, **options)

    monkeypatch.setattr(evaluator, "find_device", lambda _pairs: "cpu")
    monkeypatch.setattr(cuda, "ELEMENTS", 2000)
    monkeypatch.setattr(cuda, "FEWEST_ELEMENTS", 200)
    monkeypatch.setattr(torch, "bincount", short_of_memory)
    assert json.dumps(evaluate(codes, labels).to_json()) == truth
    # 2,000, 1,000, 500 and 250 elements are tried.
    assert len(refused) == min(failures, 4)
    assert refused == sorted(refused, reverse=True)


def test_a_gallery_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    codes, labels = [[0, 1], [1, 1], [0, 0]], [0, 0, 1]
    monkeypatch.setattr(evaluator, "find_device", lambda _pairs: None)
    truth = json.dumps(evaluate(codes, labels).to_json())
    monkeypatch.setattr(evaluator, "find_device", lambda _pairs: "cpu")
    monkeypatch.setattr(cuda.DeviceCounter, "_move", full)
    assert json.dumps(evaluate(codes, labels).to_json()) == truth


def test_when_a_device_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 2)
    assert cuda.find_device(10**9 - 1) is None
    assert cuda.find_device(10**9) == "cuda"
    with monkeypatch.context() as patch:
        patch.setattr("numba.config.NUMBA_NUM_THREADS", 3)
        assert cuda.find_device(10**12) is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cuda.find_device(10**12) is None


def test_torch_is_imported_for_huge_problems_only() -> None:
    program = (
        "import sys, numba; numba.config.NUMBA_NUM_THREADS = 2; from bench.metrics.cuda import find_device; "
        "print(find_device(10**9), 'torch' in sys.modules); find_device(10**10); print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    root = Path(__file__).parents[2]
    output = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    assert output.split() == ["None", "False", "True"]
