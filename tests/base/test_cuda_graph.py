"""Captures that CUDA refuses, with a stand-in for what PyTorch keeps of a GPU."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from bench.base import cuda_graph


class Gpu:
    """PyTorch's allocator and generator; a failed capture leaves both as PyTorch 2.13 does."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.underway: list[int] = []
        self.released: list[int] = []
        self.state = "usual"
        patch.setattr(torch.cuda, "CUDAGraph", lambda: Graph(self))
        patch.setattr(torch.cuda, "default_generators", [self])
        patch.setattr(torch.cuda, "empty_cache", self.empty_cache)
        patch.setattr(torch.cuda, "graph_pool_handle", lambda: 1 + len(self.released))
        patch.setattr(torch.cuda, "stream", lambda _stream: nullcontext())
        patch.setattr(cuda_graph, "_stream", lambda _device: None)
        patch.setattr(torch._C, "_cuda_endAllocateToPool", self.end)
        patch.setattr(torch._C, "_cuda_releasePool", lambda _device, pool: self.released.append(pool))

    def empty_cache(self) -> None:
        assert not self.underway, "INTERNAL ASSERT FAILED: captures_underway.empty()"

    def end(self, _device: int, pool: int) -> None:
        if pool not in self.underway:
            raise RuntimeError("not currently recording to mempool_id")
        self.underway.remove(pool)

    def graphsafe_get_state(self) -> str:
        return self.state

    def clone_state(self) -> str:
        return "copy"

    def graphsafe_set_state(self, state: str) -> None:
        self.state = state


class Graph:
    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self.reset: Callable[[], None] = lambda: None
        self.replay: Callable[[], None] = lambda: None

    def capture_begin(self, pool: int, **_mode: Any) -> None:
        self.pool = pool
        self.gpu.underway.append(pool)

    def capture_end(self) -> None:
        if self.gpu.state == "invalid":
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
        self.gpu.end(0, self.pool)
        if self.gpu.state == "too large":
            raise RuntimeError("CUDA error: out of memory")


@pytest.mark.parametrize(("state", "released"), [("invalid", [1]), ("too large", [])])
def test_a_refused_capture_leaves_memory_usable(
    state: str, released: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it captures, or when it makes a graph of what it has captured, which has then released its memory."""
    gpu = Gpu(monkeypatch)

    def refused() -> dict[str, torch.Tensor]:
        gpu.state = state
        if state == "invalid":
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        return {}

    with pytest.raises(RuntimeError, match="CUDA error: o"):
        cuda_graph.capture_graph(refused, torch.device("cuda:0"))
    assert gpu.state == "usual"
    assert gpu.released == released
    gpu.empty_cache()
    outputs, _ = cuda_graph.capture_graph(lambda: {"x": torch.ones(1)}, torch.device("cuda:0"))
    assert outputs["x"] == 1
    # Its replays draw from the copy, and so does everything else; but for work that draws nothing.
    assert gpu.state == "copy"
    gpu.state = "a training's"
    cuda_graph.capture_graph(lambda: {}, torch.device("cuda:0"), draws=False)
    assert gpu.state == "a training's"
