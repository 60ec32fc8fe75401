"""What training items are: the draw of a batch, the loaded batch, and the objective that draws and judges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bench.corruption import FrameCorruption


@dataclass(frozen=True)
class Draw:
    """What a batch of training items holds."""

    videos: Mapping[str, NDArray[np.int64]]
    """By name: indices (B,) of training videos to load."""
    values: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """By name: further numbers, first axis B."""
    corruption: Mapping[str, FrameCorruption] = field(default_factory=dict)
    """By the name of the videos: how to corrupt them."""

    def part(self, items: slice) -> "Draw":
        """The draw of some of the items."""
        return Draw(
            {name: rows[items] for name, rows in self.videos.items()},
            {name: numbers[items] for name, numbers in self.values.items()},
            {name: plan.part(items) for name, plan in self.corruption.items()},
        )


class Batch:
    """A `Draw` with its videos loaded, on the training device.

    Not a dataclass: Fabric rounds the tensors of a dataclass that a module is called with, and losses need them exact.
    """

    def __init__(
        self, videos: Mapping[str, Tensor], corrupted: Mapping[str, Tensor], values: Mapping[str, Tensor]
    ) -> None:
        self.videos = videos
        """By name, (B, T, D), as they are stored; bfloat16 where training is."""
        self.corrupted = corrupted
        """By name, (B, T, D), for those that the draw corrupts."""
        self.values = values
        """By name, first axis B, float32."""


class Objective(Protocol):
    """What a network is trained for."""

    def draw(self, videos: NDArray[np.int64], random: np.random.Generator) -> Draw:
        """What the training items of these videos (B,) hold. May be called from a thread, ahead of time."""

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        """The parts of the loss by name, `loss` the total that is minimised; means over the items of the batch.
        `epoch` counts from 0."""
