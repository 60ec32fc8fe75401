"""WSCH's parameters."""

from pydantic import Field

from bench.method import BaseSchedule


class WschParameters(BaseSchedule):
    """The authors' one set of values. On small training sets the default is fewer clusters."""

    epochs: int = Field(300, ge=1, le=10**9)
    """Of the second stage; each trains on all videos twice."""
    pretraining_epochs: int | None = Field(None, ge=1, le=10**9)
    """Of the first stage, which restores frames alone; none given: a third of `epochs`."""
    batch_size: int = Field(128, ge=2)
    learning_rate: float = Field(1e-4, gt=0)
    hidden: int = Field(1024, ge=64, multiple_of=64)
    decoder_hidden: int = Field(1024, ge=4, multiple_of=4)
    pretraining_mask_ratio: float = Field(0.9, gt=0, lt=1)
    """Share of the frames that a view hides, rounded down to whole frames: in the first stage, and where codes are
    clustered."""
    mask_ratio: float = Field(0.6, gt=0, lt=1)
    """The same in the second stage."""
    clusters: int = Field(800, ge=2)
    """Of the codes of both views of all training videos; found anew every epoch, from the centres of the last."""
    cluster_weight: float = Field(0.02, ge=0)
    cluster_temperature: float = Field(0.2, gt=0)
    contrastive_weight: float = Field(1.0, ge=0)
    temperature: float = Field(0.5, gt=0)
    tau_plus: float = Field(0.1, ge=0, lt=1)
    """Share of the other videos that are taken to be of the same class."""

    @property
    def first_stage(self) -> BaseSchedule:
        """The schedule of the first stage."""
        return self.model_copy(update={"epochs": self.pretraining_epochs or max(1, self.epochs // 3)})
