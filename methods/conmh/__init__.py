"""ConMH: a masked auto-encoder of frames with a code per frame, trained to give two views of a video the same code."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor, nn
from torch.nn import functional

from bench.context import FitContext
from bench.method import Batch, DeepMethod, Draw, Features, Objective, Schedule, Shape

from ..shared.autoencoder import MaskedAutoencoder, MaskedDecoder, MaskedEncoder
from ..shared.contrastive import debiased_contrastive
from ..shared.views import draw_views, require_hidden_frames
from .checkpoint import AUTHORS

FEW_VIDEOS = 10_000


class ConmhParameters(Schedule):
    """The authors' values for FCVID; below 10,000 training videos the default is their batch for small sets."""

    epochs: int = Field(800, ge=1, le=10**9)
    batch_size: int = Field(512, ge=2)
    learning_rate: float = Field(1e-4, gt=0)
    learning_rate_floor: float = Field(1e-5, ge=0)
    hidden: int = Field(256, ge=2, multiple_of=2)
    depth: int = Field(12, ge=1)
    heads: int = Field(6, ge=1)
    """Each has `hidden // heads` channels; the rest plays no part in attention."""
    decoder_hidden: int = Field(192, ge=2, multiple_of=2)
    decoder_depth: int = Field(2, ge=1)
    decoder_heads: int = Field(3, ge=1)
    mask_ratio: float = Field(0.75, gt=0, lt=1)
    """Share of the frames that a view hides and restores, rounded down to whole frames."""
    contrastive_weight: float = Field(1.0, ge=0)
    temperature: float = Field(0.5, gt=0)
    tau_plus: float = Field(0.1, ge=0, lt=1)
    """Share of the other videos that are taken to be of the same class."""

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        for heads, width in (("heads", "hidden"), ("decoder_heads", "decoder_hidden")):
            count, channels = getattr(self, heads), getattr(self, width)
            if count > channels:
                said = f"{heads}={count} is more than {width}={channels}; each head needs a channel"
                raise PydanticCustomError("heads", said)
        return self


class Conmh(DeepMethod):
    """ConMH as its authors' code trains it."""

    name = "conmh"
    title = "ConMH"
    paper = "Wang et al., Contrastive Masked Autoencoders for Self-Supervised Video Hashing, AAAI 2023"
    Parameters: ClassVar = ConmhParameters
    parameters: ConmhParameters
    authors = AUTHORS

    @classmethod
    def defaults(cls, shape: Shape) -> dict[str, Any]:
        return {"batch_size": 128} if shape[0] < FEW_VIDEOS else {}

    def check(self, shape: Shape) -> None:
        super().check(shape)
        require_hidden_frames(self.name, shape[1], self.parameters.mask_ratio)

    def network(self, frames: int, dimensions: int) -> MaskedAutoencoder:
        own = self.parameters
        return MaskedAutoencoder(
            MaskedEncoder(frames, dimensions, self.bits, own.hidden, own.depth, own.heads),
            MaskedDecoder(frames, dimensions, self.bits, own.decoder_hidden, own.decoder_depth, own.decoder_heads),
        )

    def encoder(self, network: nn.Module) -> nn.Module:
        assert isinstance(network, MaskedAutoencoder)
        return network.encoder

    def objective(self, network: nn.Module, features: Features, context: FitContext) -> Objective:
        assert isinstance(network, MaskedAutoencoder)
        return ConmhObjective(network, self.parameters, features.shape[1])


@dataclass(frozen=True)
class ConmhObjective(Objective):
    """Reconstruction of both views' hidden frames + a·contrastive."""

    network: MaskedAutoencoder
    parameters: ConmhParameters
    frames: int

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        views = draw_views(random, len(videos), self.frames, self.parameters.mask_ratio)
        return Draw({"video": videos}, {"visible": views.visible, "hidden": views.hidden})

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        parameters = self.parameters
        codes, restored, targets = self.network(batch.videos["video"], batch.values["visible"], batch.values["hidden"])
        # The sum of the two views' means.
        reconstruction = 2 * functional.mse_loss(restored, targets)
        contrastive = debiased_contrastive(codes[0::2], codes[1::2], parameters.temperature, parameters.tau_plus)
        return {
            "loss": reconstruction + parameters.contrastive_weight * contrastive,
            "reconstruction": reconstruction,
            "contrastive": contrastive,
        }
