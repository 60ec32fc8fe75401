"""The fast training pass of MC-MLP is the plain definition: values, gradients and batch statistics."""

import copy

import pytest
import torch
from bench.methods.mcmsh.mixer import Branch, McMlp
from bench.methods.mcmsh.training_pass import embed
from torch import nn

from bench.base.progress import SilentProgress
from bench.learning.context import FitContext
from bench.learning.items import Batch, Draw
from bench.learning.layers import Dropout
from bench.learning.loop import Training
from bench.learning.objective import Objective
from bench.learning.schedule import Schedule


@pytest.mark.parametrize("branches", [("long", "middle", "short"), ("middle",), ("long",), ("short",), ()])
def test_equals_the_plain_pass(branches: tuple[Branch, ...]) -> None:
    torch.manual_seed(0)
    plain = McMlp(25, 24, 16, 64, branches).train()
    for module in plain.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
    fast = copy.deepcopy(plain)
    items = [torch.randn(9, 25, 24) for _ in range(3)]
    frames, relaxed = embed(fast, items)
    statistics = {name: buffer.clone() for name, buffer in fast.named_buffers() if "running" in name}
    # The plain passes, one video of the items after the other; `frames` runs apart, so as not to count twice.
    expected = [plain(videos) for videos in items]
    for name, buffer in plain.named_buffers():
        if name in statistics:
            torch.testing.assert_close(statistics[name], buffer, rtol=1e-5, atol=1e-6, msg=name)
    expected_frames = [plain.frames(videos) for videos in items]
    for number in range(3):
        torch.testing.assert_close(relaxed[number], expected[number], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(frames[number], expected_frames[number], rtol=1e-5, atol=1e-5)
    directions = [torch.randn_like(codes) for codes in expected]
    torch.stack([(codes * way).sum() for codes, way in zip(expected, directions, strict=True)]).sum().backward()  # type: ignore[no-untyped-call]
    torch.stack([(codes * way).sum() for codes, way in zip(relaxed, directions, strict=True)]).sum().backward()  # type: ignore[no-untyped-call]
    for (name, weight), other in zip(plain.named_parameters(), fast.parameters(), strict=True):
        assert weight.grad is not None, name
        assert other.grad is not None, name
        torch.testing.assert_close(other.grad, weight.grad, rtol=1e-4, atol=2e-5, msg=name)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_keeps_the_mean_and_scales(p: float) -> None:
    torch.manual_seed(0)
    layer = Dropout(p).train()
    ones = torch.ones(1000, 333)
    dropped = layer(ones)
    values = dropped.unique()
    torch.testing.assert_close(values, torch.tensor([0.0, 1 / (1 - p)]))
    # 333,000 draws: the standard error of the share is under 0.0009.
    assert float((dropped == 0).float().mean()) == pytest.approx(p, abs=0.004)
    assert torch.equal(layer.eval()(ones), ones)


def masks_of_two_epochs(seed: int, stage: str) -> list[list[bool]]:
    """Which of 64 elements dropout zeroes in a training of one step an epoch."""
    network = nn.Sequential(nn.Linear(1, 64), Dropout(0.5))
    masks: list[list[bool]] = []

    class Noting(Objective):
        def draw(self, videos: object, among: object, random: object) -> Draw:
            raise AssertionError("batches are given")

        def loss(self, batch: Batch, epoch: int) -> dict[str, torch.Tensor]:
            found = network(torch.ones(1, 1))
            masks.append((found == 0).flatten().tolist())
            return {"loss": found.sum()}

    training = Training(network, Noting(), Schedule.model_validate({}), FitContext(seed), stage)
    for epoch in (0, 1):
        with SilentProgress().task("", 1) as task:
            training.epoch(epoch, [Batch({"first": torch.zeros(2, 1, 1)}, {}, {})], task)
    return masks


def test_dropout_differs_between_epochs_and_depends_on_seed_and_stage() -> None:
    first, second = masks_of_two_epochs(0, "one")
    assert first != second
    assert masks_of_two_epochs(0, "one") == [first, second]
    assert first not in masks_of_two_epochs(1, "one") + masks_of_two_epochs(0, "two")
