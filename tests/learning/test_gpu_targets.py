"""The script that measures what a GPU should do runs as it stands, at a small size and on the processor."""

from collections.abc import Iterator

import pytest
import torch
from bench.methods.bth import Bth, BthParameters

from tests.gpu import targets
from tests.gpu.targets import Clock, Sizes, Target, evaluation, rows, training_step

CPU = torch.device("cpu")


def test_the_script_runs_without_a_device() -> None:
    clock = Clock(CPU, Sizes(dimensions=16, batch=2, codes=60, steps=1, epoch=1, rounds=1))
    (step,) = training_step(Bth(8, BthParameters(anchors=4, hidden=16, epochs=1)), 7, clock)
    (scores,) = evaluation(clock)
    assert step.measured > 0
    assert scores.measured > 0


def test_a_target_says_whether_it_is_met() -> None:
    assert str(Target("a step", 6.95, "ms", 7, "plain: 50 ms")) == "| a step | 6.95 ms | ≤ 7 | met | plain: 50 ms |"
    assert "| missed |" in str(Target("a step", 7.01, "ms", 7))


def test_what_fails_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_clock: Clock) -> Iterator[Target]:
        yield Target("first", 1, "ms")
        raise RuntimeError("CUDA error: misaligned address\nCompile with TORCH_USE_CUDA_DSA")

    def whole(_clock: Clock) -> Iterator[Target]:
        yield Target("second", 2, "ms")

    monkeypatch.setattr(targets, "PARTS", {"one": (1.0, broken), "two": (1.0, whole)})
    first, failed, second, *_ = rows(CPU, Sizes())
    assert first.startswith("| first | 1 ms |")
    assert failed.startswith("| one | failed: RuntimeError: CUDA error: misaligned address")
    assert "\n" not in failed
    assert second.startswith("| second | 2 ms |")


def test_a_clock_keeps_to_its_seconds() -> None:
    """A warm-up and one round, however many were asked for."""
    calls: list[int] = []
    Clock(CPU, Sizes(rounds=1000), seconds=0).seconds(lambda: calls.append(1), repeats=3)
    assert len(calls) == 6
