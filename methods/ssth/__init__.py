"""SSTH: a binary LSTM whose last state plays a video, rewinds it and gives its mean frame."""

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from bench.context import FitContext
from bench.method import Batch, DeepMethod, Draw, Features, Objective, Shape

from ..shared.momentum import MomentumSchedule
from .checkpoint import AUTHORS
from .network import SsthNetwork, squared_errors

UPDATES = 20_000
BATCH = 100


class SsthParameters(MomentumSchedule):
    """The authors' values. By default there are as many epochs as 20,000 updates take: 44 on FCVID."""

    epochs: int = Field(44, ge=1, le=10**9)
    updates: int = Field(UPDATES, ge=1, le=10**12)
    """Training ends after this many updates, if not after `epochs`."""
    batch_size: int = Field(BATCH, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    mean_weight: float = Field(200.0, ge=0)
    """Of the mean frame's error, beside those of the frames."""

    def length(self, steps: int) -> int:
        return min(self.updates, super().length(steps))


class Ssth(DeepMethod):
    """SSTH as its authors' code trains it."""

    name = "ssth"
    title = "SSTH"
    paper = (
        "Zhang et al., Play and Rewind: Optimizing Binary Representations of Videos by Self-Supervised Temporal "
        "Hashing, ACM MM 2016"
    )
    Parameters: ClassVar = SsthParameters
    parameters: SsthParameters
    authors = AUTHORS

    @classmethod
    def defaults(cls, shape: Shape) -> dict[str, Any]:
        return {"epochs": math.ceil(UPDATES / math.ceil(shape[0] / BATCH))}

    def network(self, frames: int, dimensions: int) -> SsthNetwork:
        return SsthNetwork(frames, dimensions, self.bits)

    def encoder(self, network: nn.Module) -> nn.Module:
        assert isinstance(network, SsthNetwork)
        return network.encoder

    def objective(self, network: nn.Module, features: Features, context: FitContext) -> Objective:
        assert isinstance(network, SsthNetwork)
        return SsthObjective(network, self.parameters)


class SsthObjective(Objective):
    """(Σ backward + Σ forward + 200·Σ mean)/3, sums of squared errors; reported for one video."""

    def __init__(self, network: SsthNetwork, parameters: SsthParameters) -> None:
        self._network, self._mean_weight = network, parameters.mean_weight

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        return Draw({"video": videos})

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        videos = batch.videos["video"]
        errors = squared_errors(self._network(videos), videos)
        total = (errors["backward"] + errors["forward"] + self._mean_weight * errors["mean"]) / 3
        means = {name: value / len(videos) for name, value in {"loss": total, **errors}.items()}
        return {**means, "minimised": total}
