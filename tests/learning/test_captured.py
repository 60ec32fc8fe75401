"""Captured steps with a stand-in for CUDA graphs: a tape of operators that runs them again, on the processor."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.base import cuda_graph
from bench.base.progress import SilentProgress
from bench.data.features import ArrayFeatures
from bench.learning.context import FitContext
from bench.learning.items import Batch
from bench.learning.loop import Training, train
from bench.learning.schedule import Schedule
from tests.learning.stages import Stage, quick, stages_of
from tests.learning.test_loop import Slope, batch_of

FRAMES, DIMENSIONS = 5, 16
CALL = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]


class Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes operators, and runs them again into the tensors that they gave the first time, as a CUDA graph does."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[CALL] = []
        self.replays = 0

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if operator is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nCUDA kernel errors")
        given = operator(*args, **(kwargs or {}))
        self.calls.append((operator, args, kwargs or {}, given))
        return given

    @torch.no_grad()
    def replay(self) -> None:
        self.replays += 1
        for operator, args, kwargs, given in self.calls:
            for tensor, value in zip(tree_leaves(given), tree_leaves(operator(*args, **kwargs)), strict=True):
                if isinstance(tensor, Tensor) and tensor.data_ptr() != value.data_ptr():
                    tensor.copy_(value)


class Tapes:
    """Takes the place of `capture_graph` on the processor. What a tape computes while it notes leaves no trace."""

    def __init__(self, patch: pytest.MonkeyPatch, network: nn.Module) -> None:
        self._network = network
        self.all: list[Tape] = []
        patch.setitem(cuda_graph.CAPTURES, "cpu", self.capture)

    def capture(
        self, work: Callable[[], dict[str, Tensor]], device: torch.device
    ) -> tuple[dict[str, Tensor], Callable[[], None]]:
        before = copy.deepcopy(self._network.state_dict())
        self.all.append(Tape())
        try:
            with self.all[-1]:
                return work(), self.all[-1].replay
        finally:
            self._network.load_state_dict(before)


def trained(stage: Stage) -> tuple[dict[str, Tensor], list[dict[str, float]], list[str]]:
    """Weights, losses and lines of a training of two epochs, of 20 videos in batches of 4 and one of 2."""
    said: list[str] = []
    context = FitContext(0, say=said.append)
    random = np.random.default_rng(1)
    features = ArrayFeatures(random.standard_normal((22, FRAMES, DIMENSIONS), np.float32))
    train(stage.network, stage.objective, features, stage.schedule, context, "stage")
    return stage.network.state_dict(), context.history, said


@pytest.mark.parametrize(
    ("method", "parameters"), [("mcmsh", {}), ("bervae", {"pretrain_epochs": 1}), ("conmh", {"validation_share": 0.2})]
)
def test_the_same_weights_captured_or_not(
    method: str, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout, running statistics, and losses that differ by epoch; a smaller last batch."""
    plain, replayed = (
        stages_of(method, 8, FRAMES, DIMENSIONS, **quick(method, epochs=2, batch_size=4, **parameters))[-1]
        for _ in range(2)
    )
    expected, losses, _ = trained(plain)
    tapes = Tapes(monkeypatch, replayed.network)
    found, same, said = trained(replayed)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    assert same == losses
    assert not any("captured" in line for line in said)
    # Of five or four equal batches two are computed, and one is compared.
    assert [tape.replays for tape in tapes.all] == [2 if parameters.get("validation_share") else 3] * 2


class ByEpoch(Slope):
    def factor(self, batch: Batch, epoch: int) -> float:
        return float(epoch + 1)

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        return {"loss": super().loss(batch, epoch)["loss"] * self.factor(batch, epoch)}


class ByValue(ByEpoch):
    def factor(self, batch: Batch, epoch: int) -> float:
        return float(batch.values["slope"].sum())


class ByCalls(ByEpoch):
    def factor(self, batch: Batch, epoch: int) -> float:
        return float(len(self.training))


class WithHook(ByEpoch):
    """Remembers what `loss` left for it in Python."""

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        self.total = batch.values["slope"].sum(dim=0)
        return super().loss(batch, epoch)

    def after_step(self, batch: Batch) -> None:
        assert torch.equal(self.total, batch.values["slope"].sum(dim=0))


def test_a_gradient_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradients of a replayed step are those of its own batch and epoch."""
    network = nn.Linear(2, 1, bias=False)
    tapes, objective = Tapes(monkeypatch, network), ByEpoch(network)
    training = Training(network, objective, Schedule.model_validate({}), FitContext(0), "stage")
    slopes = [[[float(step), -1.0], [2.0, 3.0 * step]] for step in range(5)]
    for epoch in range(2):
        with SilentProgress().task("", 1) as task:
            training.epoch(epoch, map(batch_of, slopes), task)
        assert network.weight.grad is not None
        expected = np.mean(slopes[-1], axis=0, keepdims=True) * (epoch + 1)
        np.testing.assert_allclose(network.weight.grad, expected, rtol=1e-6)
    assert [tape.replays for tape in tapes.all] == [3, 3]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ByValue, "CUDA error: operation not permitted when stream is capturing"),
        (ByCalls, "a replayed step differs from one that is computed"),
        (WithHook, "its objective has an `after_step`"),
    ],
)
def test_what_cannot_be_captured_is_computed(kind: type[ByEpoch], reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(0)
    batches = [batch_of(torch.randn(3, 2, generator=random).tolist()) for _ in range(5)]

    def trained() -> tuple[Tensor, list[str], ByEpoch]:
        said: list[str] = []
        objective, context = kind(network), FitContext(0, say=said.append)
        training = Training(network, objective, Schedule.model_validate({}), context, "stage")
        nn.init.ones_(network.weight)
        for epoch in range(2):
            with SilentProgress().task("", 1) as task:
                training.epoch(epoch, batches, task)
        return network.weight.detach().clone(), said, objective

    network = nn.Linear(2, 1, bias=False)
    expected, nothing, _ = trained()
    Tapes(monkeypatch, network)
    found, said, objective = trained()
    assert not nothing
    assert said == [f"stage: steps are not captured as a CUDA graph: {reason}"]
    if isinstance(objective, ByCalls):
        # Python saw one call more.
        assert len(objective.training) == 11
    else:
        assert torch.equal(found, expected)
