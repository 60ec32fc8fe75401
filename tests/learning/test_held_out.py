"""The epoch whose weights are kept, with losses that are given by hand."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.data.features import ArrayFeatures
from bench.learning.context import FitContext
from bench.learning.items import Batch, Draw
from bench.learning.loop import TrainingError, train
from bench.learning.objective import Objective
from bench.learning.schedule import Schedule

VIDEOS, RATE = 40, 3e-4


class Given(Objective):
    """Validation losses by epoch; the training loss is minus the weight, which a step of Adam raises by the rate."""

    def __init__(self, network: nn.Linear, losses: list[float]) -> None:
        self._network, self._losses = network, losses
        self.drawn: list[tuple[list[int], list[int]]] = []
        self.judged: list[bool] = []

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        self.drawn.append((sorted(videos.tolist()), among.tolist()))
        return Draw({"first": videos})

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        judging = not torch.is_grad_enabled()
        assert self._network.training is not judging
        self.judged.append(judging)
        return {"loss": torch.tensor(self._losses[epoch]) if judging else -self._network.weight.sum()}


@pytest.mark.parametrize(
    ("share", "losses", "kept", "checkpoint"),
    [
        (0.25, [3.0, 1.0, 2.0], 2, "epoch 2 of 3: lowest loss on 10 training videos held out"),
        (0.25, [3.0, 2.0, 1.0], 3, "epoch 3 of 3: lowest loss on 10 training videos held out"),
        # The first of equals.
        (0.1, [1.0, 2.0, 1.0], 1, "epoch 1 of 3: lowest loss on 4 training videos held out"),
        (0.0, [], 3, "last epoch"),
    ],
)
def test_the_weights_of_the_lowest_loss_are_kept(
    share: float, losses: list[float], kept: int, checkpoint: str
) -> None:  # fmt: skip
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    objective, context = Given(network, losses), FitContext(0)
    features = ArrayFeatures(np.zeros((VIDEOS, 2, 3), np.float32))
    schedule = Schedule.model_validate({"epochs": 3, "validation_share": share})
    train(network, objective, features, schedule, context, "stage")
    # Adam's step is the rate where the gradient does not change.
    assert network.weight.item() == pytest.approx(kept * RATE, rel=1e-4)
    assert context.checkpoint == checkpoint
    assert not network.training
    assert [row["validation_loss"] for row in context.history if share] == losses
    assert [row["epoch"] for row in context.history] == [0, 1, 2]
    # Mean training losses: before the step the weight was 0, 1, 2 times the rate.
    assert [row["loss"] for row in context.history] == pytest.approx([0, -RATE, -2 * RATE], rel=1e-4)
    assert objective.judged == ([False, True] if share else [False]) * 3
    for videos, among in objective.drawn:
        assert videos == among
    trained = objective.drawn[0][0]
    assert len(trained) == VIDEOS - round(share * VIDEOS)
    if share:
        assert sorted(trained + objective.drawn[1][0]) == list(range(VIDEOS))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_training(bad: float) -> None:
    network = nn.Linear(1, 1, bias=False)
    features = ArrayFeatures(np.zeros((VIDEOS, 2, 3), np.float32))
    schedule = Schedule.model_validate({"epochs": 3, "validation_share": 0.25})
    with pytest.raises(TrainingError, match=r"the loss of stage is .* in epoch 1; lower learning_rate"):
        train(network, Given(network, [1.0, bad, 1.0]), features, schedule, FitContext(0), "stage")
