"""SSVH's parameters."""

from pydantic import Field

from ..shared.momentum import MomentumSchedule


class SsvhParameters(MomentumSchedule):
    """The authors' values, the same for all lengths and datasets."""

    epochs: int = Field(100, ge=1, le=10**9)
    batch_size: int = Field(256, ge=2)
    learning_rate: float = Field(1e-4, gt=0)
    nearest: int = Field(10, ge=1)
    """Videos in a list of the nearest, besides the video itself."""
    lending: int = Field(5, ge=1)
    """Videos whose lists make up a video's similar ones, itself among them."""
    dissimilar: float = Field(0.0, ge=-1, lt=1)
    """The product of codes, over the bits, that other videos should have; similar ones should have 1."""
    pairwise_weight: float = Field(0.999, ge=0)
    quantisation_weight: float = Field(0.2, ge=0)
    """Of the distance to ±1, within the pairwise part."""
    reconstruction_weight: float = Field(1e-3, ge=0)
    crossed_forward: bool = False
    """Every second step of the low forward decoder reads the high backward one, as in the authors' code."""
