"""The training objective of a network: its items, its loss, and what it does between steps."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bench.learning.items import Batch, Draw

MINIMISED = "minimised"
"""The part of a loss that is minimised in place of `loss`, and not reported."""


class Encode(Protocol):
    """Encodes the training videos, wherever their features are kept."""

    def __call__(self, forward: Any, *aligned: NDArray[Any]) -> NDArray[np.float32]:
        """`forward(videos, *rows)` of all training videos, batch by batch, as one array (N, …).

        It gets videos (B, T, D) and, of every `aligned` array (N, …), their rows, as tensors on the training device.
        It runs without gradients, in the precision of the training.
        """


class Objective(ABC):
    """The training objective of a network. `draw` and `loss` are enough; the rest does nothing unless overridden."""

    comparable_from: int = 0
    """The first epoch whose loss has its final meaning, for instance the end of a warm-up: validation losses of earlier
    epochs are not compared with later ones."""

    @abstractmethod
    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        """The training items of these videos (B,); all other videos in them come from `among` (M,).

        May be called from a thread, ahead of time, but not before the epoch's `begin_epoch` has returned.
        """

    @abstractmethod
    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        """The parts of the loss by name, `loss` the total; means over the items of the batch. `epoch` counts from 0.

        `loss` is what is minimised. A method that minimises another quantity, such as a sum, adds it as `minimised`.
        It must follow from the network, the batch, the epoch and `state` alone: on a GPU it is not called for every
        batch, but captured (`bench.learning.captured`).
        """

    def begin_epoch(self, epoch: int, encode: Encode, random: np.random.Generator) -> None:
        """Called before the first draw of an epoch, with the network in evaluation mode and without gradients.

        What it computes must follow from the network, `random` and `state` alone: an interrupted epoch begins again.
        """
        return

    def after_step(self, batch: Batch) -> None:
        """Called after each training step, with the batch of the step; never in validation."""
        return

    def state(self) -> Mapping[str, Tensor]:
        """Tensors, besides the network's, that training changes in place; their shapes stay.

        They are saved and restored with the state of an interrupted training, and never stored with the encoder.
        """
        return {}

    def passes(self) -> Sequence["Objective"]:
        """The objectives that an epoch trains for, one pass over all training videos each.

        Those of the passes only `draw`, `loss` and `after_step` are called; the other hooks are this objective's.
        """
        return (self,)


class PlainObjective(Objective):
    """An objective with `draw` and `loss` alone, as methods may give without deriving from `Objective`."""

    def __init__(self, objective: Any) -> None:
        self._objective = objective

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        drawn: Draw = self._objective.draw(videos, among, random)
        return drawn

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self._objective.loss(batch, epoch)
        return losses


def as_objective(objective: Any) -> Objective:
    """The objective; one that does not derive from `Objective` has hooks that do nothing."""
    return objective if isinstance(objective, Objective) else PlainObjective(objective)
