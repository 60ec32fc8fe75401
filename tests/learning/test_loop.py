"""The loop by hand: Adam at the schedule's rate, means of losses, dropout, and what surrounds a training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import bench
from bench.base.progress import SilentProgress
from bench.data.dataset import Dataset
from bench.learning.context import FitContext
from bench.learning.items import Batch, Draw
from bench.learning.layers import Dropout
from bench.learning.loop import Training
from bench.learning.objective import Objective
from bench.learning.schedule import Schedule
from tests.learning.stages import stages_of

QUICK: dict[str, Any] = {"epochs": 1, "batch_size": 16, "anchors": 6, "hidden": 32}


class Slope(Objective):
    """An objective whose gradient is known: the mean over the items of `slope` times the weights."""

    def __init__(self, network: nn.Linear) -> None:
        self._network = network
        self.training: list[bool] = []

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        raise AssertionError("batches are given")

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        self.training.append(self._network.training)
        total = (batch.values["slope"] * self._network.weight).sum(dim=1).mean()
        return {"loss": total, "epoch_seen": torch.tensor(float(epoch))}


def batch_of(slopes: list[list[float]]) -> Batch:
    values = torch.tensor(slopes)
    return Batch({"first": torch.zeros(len(values), 1, 1)}, {}, {"slope": values})


def adam(weights: NDArray[np.float64], gradients: list[NDArray[np.float64]], rates: list[float]) -> NDArray[np.float64]:
    """Adam as its paper has it (Kingma & Ba, ICLR 2015, Algorithm 1), with the authors' constants."""
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        weights = weights - rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return weights


def test_adam_by_hand() -> None:
    """Large weights and small gradients: weight decay, or gradients that add up, would show at once."""
    schedule = Schedule.model_validate({"learning_rate_decay_epochs": 1})
    slopes = [[[1e-3, -2e-3], [3e-3, 2e-3]], [[-5e-3, 1e-3]], [[1e-4, -1e-3], [3e-4, 0.0], [2e-4, -2e-3]]]
    network = nn.Linear(2, 1, bias=False)
    begun = np.array([[50.0, -0.25]])
    network.weight.data = torch.from_numpy(begun).float()
    objective = Slope(network)
    training = Training(network, objective, schedule, FitContext(0), "stage")
    rows = []
    for epoch, batches in ((0, slopes[:1]), (1, slopes[1:])):
        with SilentProgress().task("", 1) as task:
            rows.append(training.epoch(epoch, map(batch_of, batches), task))
        assert not network.training
    # Float32 holds 50 to 4e-6 and 0.25 to 3e-8; each of Adam's steps is about 3e-4.
    expected = adam(begun, [np.mean(part, axis=0, keepdims=True) for part in slopes], [3e-4, 2.7e-4, 2.7e-4])
    np.testing.assert_array_less(abs(network.weight.detach().numpy() - expected), [[2e-5, 2e-7]])
    assert abs(expected[0, 1] - begun[0, 1]) > 1e-4
    assert objective.training == [True] * 3
    # Means over items: the second epoch has batches of one and of three.
    assert [row["epoch"] for row in rows] == [0, 1] == [row["epoch_seen"] for row in rows]
    after_first = adam(begun, [np.mean(slopes[0], axis=0, keepdims=True)], [3e-4])
    assert rows[0]["loss"] == pytest.approx(float((np.mean(slopes[0], axis=0) * begun).sum()), rel=1e-5)
    after_second = adam(begun, [np.mean(part, axis=0, keepdims=True) for part in slopes[:2]], [3e-4, 2.7e-4])
    losses = [float((np.mean(part, axis=0) * weights).sum())
              for part, weights in zip(slopes[1:], (after_first, after_second), strict=True)]  # fmt: skip
    assert rows[1]["loss"] == pytest.approx((losses[0] + 3 * losses[1]) / 4, rel=1e-5)


@pytest.mark.parametrize(("method", "p", "places"), [("mcmsh", 0.5, 4), ("bth", 0.1, 6)])
def test_dropout_acts_where_the_papers_have_it(
    method: str, p: float, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MCMSH: after both layers of both MLPs. BTH: on the input, in attention and feed-forward, and on three outputs."""
    stage = stages_of(method, 8, 25, 16, hidden=32)[-1]
    objective: Objective = stage.objective
    draw = objective.draw(np.arange(12), np.arange(12), np.random.default_rng(0))
    random = torch.Generator().manual_seed(0)
    videos = {name: torch.rand(12, 25, 16, generator=random) for name in draw.videos}
    values = {name: torch.from_numpy(value) for name, value in draw.values.items()}
    dropped: list[float] = []
    forward = Dropout.forward

    def counted(self: Dropout, x: Tensor) -> Tensor:
        found = forward(self, x)
        dropped.append(float((found == 0)[x != 0].float().mean()))
        return found

    monkeypatch.setattr(Dropout, "forward", counted)
    stage.network.train()
    torch.manual_seed(0)
    stage.objective.loss(Batch(videos, videos, values), 0)
    assert len(dropped) == places
    # 15,000 elements at least: five standard deviations of 0.5 are 0.02.
    assert dropped == pytest.approx([p] * places, abs=0.02)
    dropped.clear()
    stage.network.eval()
    stage.objective.loss(Batch(videos, videos, values), 0)
    assert dropped == [0.0] * len(dropped)


def test_variables_of_a_scheduler_change_nothing(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leftover WORLD_SIZE made every run wait for a second process."""
    expected = bench.fit("mcmsh", tiny, bits=8, device="cpu", **QUICK)
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    found = bench.fit("mcmsh", tiny, bits=8, device="cpu", **QUICK)
    np.testing.assert_array_equal(found.encode(tiny.query.features), expected.encode(tiny.query.features))


def test_encoders_stored_with_a_number_of_processes_load(tiny: Dataset, tmp_path: Path) -> None:
    """Several processes could share a training once, and encoders name their number."""
    encoder = bench.fit("mcmsh", tiny, bits=8, device="cpu", **QUICK)
    encoder.save(tmp_path / "encoder")
    path = tmp_path / "encoder" / "encoder.json"
    description = json.loads(path.read_text())
    description["parameters"]["processes"] = 1
    path.write_text(json.dumps(description))
    loaded = bench.load_encoder(tmp_path / "encoder")
    np.testing.assert_array_equal(loaded.encode(tiny.query.features), encoder.encode(tiny.query.features))
    with pytest.raises(bench.base.errors.InputError, match="mcmsh has no parameter 'processes'"):
        bench.fit("mcmsh", tiny, bits=8, device="cpu", processes=1)
