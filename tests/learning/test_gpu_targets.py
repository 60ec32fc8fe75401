"""The script that measures what a GPU should do runs as it stands, at a small size and on the processor."""

import torch
from bench.methods.bth import Bth, BthParameters

from tests.gpu.targets import Clock, Sizes, Target, evaluation, training_step


def test_the_script_runs_without_a_device() -> None:
    clock = Clock(torch.device("cpu"), Sizes(dimensions=16, batch=2, codes=60, steps=1, epoch=1, rounds=1))
    step = training_step(Bth(8, BthParameters(anchors=4, hidden=16, epochs=1)), 7, clock)
    (scores,) = evaluation(clock)
    assert step.measured > 0
    assert scores.measured > 0


def test_a_target_says_whether_it_is_met() -> None:
    assert str(Target("a step", 6.95, "ms", 7, "plain: 50 ms")) == "| a step | 6.95 ms | ≤ 7 | met | plain: 50 ms |"
    assert "| missed |" in str(Target("a step", 7.01, "ms", 7))
