"""Parameters that deep methods share: epochs, batches, optimiser, learning rate, precision."""

import math
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import nn
from torch.optim import Optimizer

from bench.learning.method import Parameters
from bench.learning.residency import Precision


class BaseSchedule(Parameters):
    """A training with Adam at one learning rate; a subclass may override the optimiser, the rate and the length."""

    epochs: int = Field(56, ge=1, le=10**9)
    batch_size: int = Field(256, ge=2)
    learning_rate: float = Field(3e-4, gt=0)
    validation_share: float = Field(0.0, ge=0, le=0.5)
    """Share of the training videos that are held out: no step sees a frame of them. The epoch with the lowest loss on
    them, with partners drawn among them, is kept. 0: the last epoch is. Labels play no part. Anchors, the anchor graph
    and clusters are those of all training videos."""
    precision: Precision = "float32"
    """bfloat16: features are rounded to bfloat16 and matrix products computed in it; weights stay float32."""

    @model_validator(mode="before")
    @classmethod
    def _without_processes(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Drop `processes`, which encoders stored by earlier versions name."""
        return {name: value for name, value in values.items() if name != "processes"}

    def held_out(self, videos: int) -> int:
        """Number of training videos that are held out."""
        return max(2, round(self.validation_share * videos)) if self.validation_share else 0

    def batches(self, videos: int) -> list[slice]:
        """Slices of 0…videos-1; a last batch of one item is left out, since batch statistics of one do not exist."""
        slices = [slice(start, min(start + self.batch_size, videos)) for start in range(0, videos, self.batch_size)]
        return [part for part in slices if part.stop - part.start >= 2]

    def length(self, steps: int) -> int:
        """Updates of the whole training, given the steps of an epoch; the last epoch may end early."""
        return self.epochs * steps

    def optimiser(self, network: nn.Module) -> Optimizer:
        """The optimiser of the network's weights. All its groups get the learning rate of the schedule."""
        return torch.optim.Adam(network.parameters(), lr=self.learning_rate, fused=True)

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        return self.learning_rate

    def update_rate(self, epoch: int, update: int) -> float:
        """The learning rate of one step; `update` counts the steps of the whole training from 0."""
        return self.rate(epoch)


class Schedule(BaseSchedule):
    """Adam without weight decay at a rate that falls in steps; the defaults are those of BTH and MCMSH."""

    learning_rate_decay: float = Field(0.9, gt=0, le=1)
    learning_rate_decay_epochs: int = Field(20, ge=1)
    learning_rate_floor: float = Field(1e-4, ge=0)

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch: decayed in steps down to the floor; a first rate below it stays."""
        decayed = self.learning_rate * self.learning_rate_decay ** (epoch // self.learning_rate_decay_epochs)
        return max(decayed, min(self.learning_rate_floor, self.learning_rate))


class CosineSchedule(BaseSchedule):
    """AdamW at a rate that rises linearly while it warms up, then falls along a cosine; the defaults are S5VH's."""

    epochs: int = Field(350, ge=1, le=10**9)
    batch_size: int = Field(128, ge=2)
    learning_rate: float = Field(5e-4, gt=0)
    learning_rate_floor: float = Field(1e-5, ge=0)
    """The rate towards which the cosine falls; it would be reached one epoch after the last."""
    learning_rate_warm_up_epochs: int = Field(0, ge=0)
    weight_decay: float = Field(1e-4, ge=0)
    """Of all weights, decoupled from the gradient (Loshchilov and Hutter, ICLR 2019)."""

    def optimiser(self, network: nn.Module) -> Optimizer:
        return torch.optim.AdamW(
            network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True
        )

    def rate(self, epoch: int) -> float:
        """floor + ½·(rate − floor)·(1 + cos(π·e/n)), e of the n epochs after those that warm up."""
        warm_up = self.learning_rate_warm_up_epochs
        if epoch < warm_up:
            return self.learning_rate * (epoch + 1) / warm_up
        share = (epoch - warm_up) / max(1, self.epochs - warm_up)
        return (
            self.learning_rate_floor
            + (self.learning_rate - self.learning_rate_floor) * (1 + math.cos(math.pi * share)) / 2
        )
