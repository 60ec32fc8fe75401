"""S5VH's parameters."""

from typing import Literal

from pydantic import Field

from bench.method import CosineSchedule


class S5vhParameters(CosineSchedule):
    """The authors' values for UCF101, which are nearly those for HMDB51."""

    hidden: int = Field(256, ge=2, multiple_of=2)
    layers: int = Field(6, ge=1)
    decoder_hidden: int = Field(192, ge=2, multiple_of=2)
    decoder_layers: int = Field(1, ge=1)
    tied: bool = True
    """One Mamba for both directions of a block, as in the authors' trained weights; false: two, as in their figure."""
    delta_bias: Literal["zero", "mamba"] = "zero"
    """First biases of the step sizes: 0, as the authors train, or as Mamba's authors draw them."""
    drop_path: float = Field(0.5, ge=0, lt=1)
    """Probability that a video skips the last block of the encoder; it grows linearly from 0 at the first."""
    mask_ratio: float = Field(0.5, gt=0, lt=1)
    """Share of the frames that a view hides and restores, rounded down to whole frames."""
    contrastive_weight: float = Field(1.0, ge=0)
    temperature: float = Field(0.5, gt=0)
    tau_plus: float = Field(0.1, ge=0, lt=1)
    """Share of the other videos that are taken to be of the same class."""
    cluster_weight: float = Field(0.1, ge=0)
    cluster_temperature: float = Field(0.5, gt=0)
    clusters: int = Field(100, ge=2)
    pca: int = Field(512, ge=1)
    """Principal components of the mean feature that are clustered."""
    centres: Literal["learned", "fixed"] = "learned"
    """Weights of the classifier: learned, as in the authors' runs, or fixed hash centres, as in their paper."""
    label_warm_up_epochs: int = Field(50, ge=0)
    """Epochs before the labels begin to follow the network's own predictions."""
    label_smoothing: float = Field(0.01, ge=0, le=1)
    """Share of the prediction in a label's new value at every step; 0: labels stay."""
    label_normalised: bool = False
    """Predict labels as clusters are predicted in training, not as the authors' code: without the hash layer's
    LayerNorm, and without dividing by the temperature."""
