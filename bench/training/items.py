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


@dataclass(frozen=True)
class Batch:
    """A `Draw` with its videos loaded, on the training device."""

    videos: Mapping[str, Tensor]
    """By name, (B, T, D), as they are stored; bfloat16 where training is."""
    corrupted: Mapping[str, Tensor]
    """By name, (B, T, D), for those that the draw corrupts."""
    values: Mapping[str, Tensor]
    """By name, first axis B, float32."""

    def __len__(self) -> int:
        return len(next(iter(self.videos.values())))


class Objective(Protocol):
    """What a network is trained for."""

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        """What the training items of these videos (B,) hold; all other videos in them come from `among` (M,).

        May be called from a thread, ahead of time.
        """

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        """The parts of the loss by name, `loss` the total that is minimised; means over the items of the batch.
        `epoch` counts from 0."""
