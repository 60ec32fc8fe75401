"""What an objective may do besides drawing and losing: hooks, state, passes, another optimiser, another length."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.progress import SilentProgress, Stopped
from bench.data.features import ArrayFeatures, Features
from bench.learning.context import FitContext
from bench.learning.items import Batch, Draw
from bench.learning.loop import ESTIMATED_STEPS, Training, train
from bench.learning.objective import Encode, Objective
from bench.learning.schedule import BaseSchedule, CosineSchedule
from bench.learning.states import Lowest, TrainingStates

VIDEOS = 30
FEATURES = ArrayFeatures(np.random.default_rng(0).normal(size=(VIDEOS, 3, 8)).astype(np.float32))


class Hooked(Objective):
    """Uses every hook, and notes the calls."""

    def __init__(self, network: nn.Linear, calls: list[str]) -> None:
        self.network, self.calls = network, calls
        self.memory = torch.zeros(VIDEOS, 4)
        self.targets = np.zeros((VIDEOS, 4), np.float32)
        self._latest = torch.zeros(0)

    def begin_epoch(self, epoch: int, encode: Encode, random: np.random.Generator) -> None:
        assert not self.network.training
        assert not torch.is_grad_enabled()
        seen: list[int] = []
        numbers = np.arange(VIDEOS)

        def forward(videos: Tensor, rows: Tensor) -> Tensor:
            seen.extend(rows.tolist())
            encoded: Tensor = self.network(videos.mean(dim=1))
            return encoded

        encoded = encode(forward, numbers)
        assert seen == numbers.tolist()
        pooled = torch.from_numpy(FEATURES[:]).mean(dim=1)
        np.testing.assert_allclose(encoded, self.network(pooled), rtol=1e-5, atol=1e-6)
        self.targets = np.sign(encoded + random.normal(size=encoded.shape)).astype(np.float32)
        self.calls.append(f"begin {epoch}")

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        values: dict[str, NDArray[Any]] = {
            "target": self.targets[videos],
            "ids": random.integers(0, 9, 5),
            "masked": random.random((2, 3)) < 0.5,
        }
        return Draw({"first": videos}, values)

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        assert batch.values["ids"].dtype == torch.int64
        assert batch.values["masked"].dtype == torch.bool
        rows = batch.rows["first"]
        self._latest = self.network(batch.videos["first"].mean(dim=1))
        error = (self._latest - batch.values["target"]).square() + (self._latest - self.memory[rows]).square()
        return {"loss": error.mean(), "minimised": error.sum()}

    def after_step(self, batch: Batch) -> None:
        assert self.network.training
        rows = batch.rows["first"]
        self.memory[rows] = 0.5 * self.memory[rows] + 0.5 * self._latest
        self.calls.append(f"step {len(rows)}")

    def state(self) -> Mapping[str, Tensor]:
        return {"memory": self.memory}


class Cosine(CosineSchedule):
    """As small as the features."""


SCHEDULE = Cosine.model_validate({"epochs": 4, "batch_size": 10, "learning_rate": 0.05})


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.learning.loader.ENCODED", 7)


def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(8, 4)


def fit(
    schedule: BaseSchedule, states: TrainingStates | None = None, stop: list[bool] | None = None,
    features: Features = FEATURES,
) -> tuple[nn.Linear, Hooked, FitContext]:  # fmt: skip
    network, calls = linear(), list[str]()
    objective = Hooked(network, calls)
    context = FitContext(3, states=states, stop=lambda: (stop or [False]).pop(0) if stop else False)
    train(network, objective, features, schedule, context, "stage")
    return network, objective, context


def test_hooks_are_called_in_order_and_never_in_validation() -> None:
    schedule = SCHEDULE.model_copy(update={"epochs": 2, "validation_share": 0.2})
    _, objective, context = fit(schedule)
    assert objective.calls == ["begin 0", "step 10", "step 10", "step 4", "begin 1", "step 10", "step 10", "step 4"]
    # The memory of held-out videos was never touched.
    assert int((objective.memory == 0).all(dim=1).sum()) == 6
    assert set(context.history[0]) == {"epoch", "loss", "validation_loss"}


@pytest.mark.parametrize("after", [1, 2, 3])
def test_an_interrupted_training_ends_in_the_same_state_to_the_bit(after: int, tmp_path: Path) -> None:
    network, objective, context = fit(SCHEDULE)
    with pytest.raises(Stopped):
        fit(SCHEDULE, TrainingStates(tmp_path), [False] * (after - 1) + [True])
    resumed, again, told = fit(SCHEDULE, TrainingStates(tmp_path))
    assert again.calls[0] == f"begin {after}"
    assert torch.equal(network.weight, resumed.weight)
    assert torch.equal(objective.memory, again.memory)
    assert context.history == told.history


def test_a_state_of_another_objective_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fit(SCHEDULE, TrainingStates(tmp_path), [True])
    network = linear()

    class Other(Hooked):
        def state(self) -> Mapping[str, Tensor]:
            return {"memory": self.memory[:5]}

    training = Training(network, Other(network, []), SCHEDULE, FitContext(3, states=TrainingStates(tmp_path)), "stage")
    assert training.restore(Lowest()) == 0
    assert torch.equal(network.weight, linear().weight)


def test_residency_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, objective, _ = fit(SCHEDULE)
    monkeypatch.setattr("bench.learning.residency.free_memory", lambda: 0)
    elsewhere, other, _ = fit(SCHEDULE, features=ArrayFeatures(FEATURES[:]))
    assert torch.equal(network.weight, elsewhere.weight)
    assert torch.equal(objective.memory, other.memory)


def test_what_is_minimised_is_not_what_is_reported() -> None:
    """A plain step down the gradient of the sum; the mean over 10 items of 4 numbers is a fortieth of it."""

    class Descent(BaseSchedule):
        def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
            return torch.optim.SGD(network.parameters(), lr=self.learning_rate)

    network = linear()
    begun = network.weight.detach().clone()
    objective = Hooked(network, [])
    training = Training(network, objective, Descent.model_validate({"learning_rate": 1e-3}), FitContext(0), "stage")
    videos = torch.from_numpy(FEATURES[:10])
    values = {"target": torch.ones(10, 4), "ids": torch.arange(5), "masked": torch.ones(2, 3, dtype=torch.bool)}
    with SilentProgress().task("", 1) as task:
        row = training.epoch(0, [Batch({"first": videos}, {}, values, {"first": torch.arange(10)})], task)
    pooled = videos.mean(dim=1)
    output = pooled @ begun.T + linear().bias.detach()
    slope = 2 * (output - 1) + 2 * output
    torch.testing.assert_close(network.weight.detach(), begun - 1e-3 * slope.T @ pooled)
    assert row["loss"] == pytest.approx(float(((output - 1) ** 2 + output**2).mean()), rel=1e-5)
    assert set(row) == {"epoch", "loss"}


class Pass(Objective):
    """A loss whose gradient is `slope`, for the passes of an epoch."""

    def __init__(self, network: nn.Linear, name: str, slope: float, order: list[str]) -> None:
        self.network, self.name, self.slope, self.order = network, name, slope, order

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        return Draw({"first": videos}, {"drawn": random.random(1)})

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        self.order.append(f"{self.name} {batch.rows['first'].tolist()} {float(batch.values['drawn'])}")
        value = self.slope * self.network.weight.sum()
        return {"loss": value, self.name: torch.tensor(self.slope)}


class TwoPasses(Pass):
    def passes(self) -> Sequence[Objective]:
        return (Pass(self.network, "a", 1.0, self.order), Pass(self.network, "b", -3.0, self.order))


def test_an_epoch_of_two_passes() -> None:
    """Each sees all videos once, in an order and with draws of its own; the row holds the parts of both."""
    network, order = linear(), list[str]()
    context = FitContext(0)
    schedule = BaseSchedule.model_validate({"epochs": 1, "batch_size": 10})
    train(network, TwoPasses(network, "", 0.0, order), FEATURES, schedule, context, "stage")
    assert [line[0] for line in order] == ["a"] * 3 + ["b"] * 3
    assert len({line.split("]")[1] for line in order}) == 6
    first, second = (
        [int(n) for line in part for n in line[3 : line.index("]")].split(",")] for part in (order[:3], order[3:])
    )
    assert sorted(first) == sorted(second) == list(range(VIDEOS))
    assert first != second
    (row,) = context.history
    assert (row["a"], row["b"]) == (1.0, -3.0)


class Limited(BaseSchedule):
    """A limit in updates, with a rate that changes at every one of them."""

    def length(self, steps: int) -> int:
        return 7

    def update_rate(self, epoch: int, update: int) -> float:
        return self.learning_rate * 0.5**update


def test_a_length_in_updates_and_a_rate_of_each() -> None:
    """Seven updates, three an epoch. Where the slope is constant Adam moves by the rate."""
    network, order = linear(), list[str]()
    begun = network.weight.detach().clone()
    context = FitContext(0)
    schedule = Limited.model_validate({"batch_size": 10, "learning_rate": 1e-2})
    train(network, Pass(network, "a", 1.0, order), FEATURES, schedule, context, "stage")
    assert len(order) == 7
    assert [row["epoch"] for row in context.history] == [0, 1, 2]
    moved = 1e-2 * sum(0.5**update for update in range(7))
    torch.testing.assert_close(network.weight.detach(), begun - moved, rtol=1e-4, atol=1e-6)


def test_a_stage_that_goes_on_with_an_optimiser_keeps_its_moments() -> None:
    network, order = linear(), list[str]()
    schedule = BaseSchedule.model_validate({"epochs": 2, "batch_size": 10})
    first = train(network, Pass(network, "a", 1.0, order), FEATURES, schedule, FitContext(0), "first")
    assert float(first.state[network.weight]["step"]) == 6
    second = train(network, Pass(network, "a", 1.0, order), FEATURES, schedule, FitContext(0), "second", first)
    assert second is first
    assert float(first.state[network.weight]["step"]) == 12


def test_cosine_rates_by_hand() -> None:
    schedule = CosineSchedule.model_validate({"epochs": 4})
    middle = (5e-4 + 1e-5) / 2
    half = (5e-4 - 1e-5) / 2 * np.sqrt(0.5)
    expected = [5e-4, middle + half, middle, middle - half]
    assert [schedule.rate(epoch) for epoch in range(4)] == pytest.approx(expected, rel=1e-12)
    warmed = CosineSchedule.model_validate({"epochs": 6, "learning_rate_warm_up_epochs": 2})
    assert [warmed.rate(epoch) for epoch in range(6)] == pytest.approx([2.5e-4, 5e-4, *expected], rel=1e-12)
    group = schedule.optimiser(linear()).param_groups[0]
    assert (group["weight_decay"], group["betas"], group["eps"]) == (1e-4, (0.9, 0.999), 1e-8)


class Falling(Pass):
    """Validation losses that are lowest before the loss has its final meaning."""

    comparable_from = 2

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        judged = (0.0, 1.0, 9.0, 5.0, 7.0)[epoch]
        return {"loss": self.network.weight.sum() if torch.is_grad_enabled() else torch.tensor(judged)}


@pytest.mark.parametrize(("epochs", "kept"), [(5, "epoch 4 of 5"), (2, "epoch 1 of 2")])
def test_losses_of_a_warm_up_are_not_compared_with_later_ones(epochs: int, kept: str) -> None:
    context = FitContext(0)
    schedule = BaseSchedule.model_validate({"epochs": epochs, "batch_size": 10, "validation_share": 0.2})
    network = linear()
    train(network, Falling(network, "a", 1.0, []), FEATURES, schedule, context, "stage")
    assert context.checkpoint.startswith(kept)


class Clock:
    """A clock of which every step takes `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds

    @contextmanager
    def task(self, description: str, steps: int) -> Iterator["Clock"]:
        yield self

    def advance(self, status: str = "") -> None:
        self.now += self.seconds


@pytest.mark.parametrize(
    ("seconds", "said"), [(3600.0, ["stage: will take about 2.0 days on this machine"]), (60.0, [])]
)
def test_a_training_of_more_than_a_day_is_announced(
    seconds: float, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 59 steps, 48 are left after the first 11."""
    clock, lines = Clock(seconds), list[str]()
    monkeypatch.setattr("bench.learning.loop.time.monotonic", lambda: clock.now)

    class Long(BaseSchedule):
        def length(self, steps: int) -> int:
            return 49 + ESTIMATED_STEPS

    network = linear()
    context = FitContext(0, progress=clock, say=lines.append)
    train(network, Pass(network, "a", 1.0, []), FEATURES, Long.model_validate({"batch_size": 10}), context, "stage")
    assert [line.split(";")[0] for line in lines if "days" in line] == said
