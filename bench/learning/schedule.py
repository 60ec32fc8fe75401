"""Parameters that deep methods share: epochs, batches, learning rate, precision."""

from typing import Any

from pydantic import Field, model_validator

from bench.learning.method import Parameters
from bench.learning.residency import Precision


class Schedule(Parameters):
    """The schedule of a training; the defaults are those of BTH and MCMSH (Adam, no weight decay)."""

    epochs: int = Field(56, ge=1, le=10**9)
    batch_size: int = Field(256, ge=2)
    learning_rate: float = Field(3e-4, gt=0)
    learning_rate_decay: float = Field(0.9, gt=0, le=1)
    learning_rate_decay_epochs: int = Field(20, ge=1)
    learning_rate_floor: float = Field(1e-4, ge=0)
    validation_share: float = Field(0.0, ge=0, le=0.5)
    """Share of the training videos that are held out: no step sees a frame of them. The epoch with the lowest loss on
    them, with partners drawn among them, is kept. 0: the last epoch is. Labels play no part. Anchors and the anchor
    graph, which are made once before training, are those of all training videos."""
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

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch: decayed in steps down to the floor; a first rate below it stays."""
        decayed = self.learning_rate * self.learning_rate_decay ** (epoch // self.learning_rate_decay_epochs)
        return max(decayed, min(self.learning_rate_floor, self.learning_rate))

    def batches(self, videos: int) -> list[slice]:
        """Slices of 0…videos-1; a last batch of one item is left out, since batch statistics of one do not exist."""
        slices = [slice(start, min(start + self.batch_size, videos)) for start in range(0, videos, self.batch_size)]
        return [part for part in slices if part.stop - part.start >= 2]
