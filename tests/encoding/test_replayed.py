"""Replayed encoders with a stand-in for CUDA graphs, on the processor: `tests.learning.test_captured.Tape`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.base import cuda_graph
from bench.encoding import replayed as module
from bench.encoding.backends import CHUNK
from bench.encoding.replayed import COMPUTED, Replayed
from tests.encoding.conftest import deep_encoder, plain, random_videos
from tests.learning.test_captured import Tape

CPU = torch.device("cpu")
VIDEOS = 2 * CHUNK * COMPUTED


@pytest.fixture
def tapes(monkeypatch: pytest.MonkeyPatch) -> list[Tape]:
    """The tapes that take the place of graphs."""
    found: list[Tape] = []

    def capture(work: Callable[[], Any], _device: torch.device, *, draws: bool) -> tuple[Any, Callable[[], None]]:
        assert not draws
        found.append(Tape())
        with found[-1]:
            return work(), found[-1].replay

    monkeypatch.setitem(cuda_graph.CAPTURES, "cpu", capture)
    return found


@pytest.mark.parametrize("name", ["mcmsh", "bth"])
def test_the_same_outputs(name: str, tapes: list[Tape], capsys: pytest.CaptureFixture[str]) -> None:
    encoder = deep_encoder(name, dimensions=8)
    videos = random_videos(VIDEOS + 5, dimensions=8)
    outputs = encoder.relaxed(videos)
    np.testing.assert_allclose(outputs, plain(encoder.module, videos), rtol=0, atol=1e-5)
    # Whole chunks are replayed but for those that are computed, one of which is compared; the rest is not.
    assert [tape.replays for tape in tapes] == [1 + VIDEOS // CHUNK - COMPUTED]
    assert capsys.readouterr().err == ""


def test_outputs_last(tapes: list[Tape]) -> None:
    network = Replayed(nn.Linear(2, 1), CPU)
    with torch.inference_mode():
        batches = [torch.full((1, 2), float(n)) for n in range(COMPUTED + 3)]
        first = [network(batch) for batch in batches]
        again = [network(batch) for batch in batches]
    assert len(tapes) == 1
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({float(outputs) for outputs in first}) == len(first)


class Branching(nn.Module):
    """Does something else for positive videos."""

    def forward(self, videos: Tensor) -> Tensor:
        return videos * (2 if videos.sum().item() > 0 else 3)


class Counting(nn.Module):
    """Gives something else at every call."""

    calls = 0

    def forward(self, videos: Tensor) -> Tensor:
        self.calls += 1
        return videos * self.calls


# The fourth call of `Counting` is what would have been captured.
@pytest.mark.parametrize(
    ("network", "outputs"), [(Branching(), [2, 2, 2, 2, 2]), (Counting(), [1, 2, 3, 5, 6])], ids=lambda given: ""
)
def test_a_graph_that_gives_something_else(
    network: nn.Module, outputs: list[int], tapes: list[Tape], capsys: pytest.CaptureFixture[str]
) -> None:
    replayed = Replayed(network, CPU)
    with torch.inference_mode():
        assert [float(replayed(torch.ones(1))) for _ in outputs] == outputs
    assert len(tapes) == 1
    reason = "a replayed batch differs from one that is computed"
    assert capsys.readouterr().err == f"the encoder is not captured as a CUDA graph: {reason}\n"


def test_a_capture_that_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(_work: object, _device: torch.device, *, draws: bool) -> Any:
        raise RuntimeError("CUDA error: operation not permitted\nCUDA kernel errors might be")

    monkeypatch.setitem(cuda_graph.CAPTURES, "cpu", refuse)
    network = Replayed(nn.Identity(), CPU)
    with torch.inference_mode():
        assert [float(network(torch.full((size,), 2.0)).sum()) for size in [1] * 5 + [2] * 5] == [2.0] * 5 + [4.0] * 5
    reason = "CUDA error: operation not permitted"
    assert capsys.readouterr().err == f"the encoder is not captured as a CUDA graph: {reason}\n"


def test_few_sizes_are_captured(tapes: list[Tape], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    network = Replayed(nn.Identity(), CPU)
    with torch.inference_mode():
        for size in [1, 2, 3] * (COMPUTED + 1):
            assert network(torch.full((size, 1), float(size))).tolist() == [[size]] * size
    assert len(tapes) == 2


def test_nothing_is_captured_without_graphs() -> None:
    network = nn.Identity()
    assert module.replayed(network, CPU) is network
