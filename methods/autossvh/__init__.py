"""AutoSSVH: ConMH's masked auto-encoder with learned decoder positions, and prototypes of clustered codes."""

from typing import Any, ClassVar

from torch import nn

from bench.base.errors import InputError
from bench.context import FitContext
from bench.method import Features, Objective, Shape

from ..conmh import Conmh
from ..shared.autoencoder import MaskedAutoencoder, MaskedDecoder, MaskedEncoder
from .checkpoint import AUTHORS
from .network import GradedAutoencoder
from .objective import AutoSsvhObjective
from .parameters import AutoSsvhParameters

VIDEOS_A_CLUSTER = 14, 8, 5
"""At least, of each granularity; a training set with fewer of them gets fewer clusters by default."""


class AutoSsvh(Conmh):
    """AutoSSVH as its authors' code trains it; `sampler="grade"` and `vote="sign"` are ours, after the paper."""

    name = "autossvh"
    title = "AutoSSVH"
    paper = (
        "Lian et al., AutoSSVH: Exploring Automated Frame Sampling for Efficient Self-Supervised Video Hashing, "
        "CVPR 2025"
    )
    Parameters: ClassVar[Any] = AutoSsvhParameters
    parameters: AutoSsvhParameters
    authors = AUTHORS

    @classmethod
    def defaults(cls, shape: Shape) -> dict[str, Any]:
        papers = AutoSsvhParameters.model_fields["clusters"].default
        few = [max(2, min(number, shape[0] // each)) for number, each in zip(papers, VIDEOS_A_CLUSTER, strict=True)]
        return {**super().defaults(shape), "clusters": tuple(few)}

    def check(self, shape: Shape) -> None:
        super().check(shape)
        most, videos = max(self.parameters.clusters), shape[0]
        if most > videos:
            raise InputError(f"clusters: {most} are asked for, but there are only {videos} training videos; set fewer")

    def network(self, frames: int, dimensions: int) -> MaskedAutoencoder:
        own = self.parameters
        encoder = MaskedEncoder(frames, dimensions, self.bits, own.hidden, own.depth, own.heads)
        decoder = MaskedDecoder(
            frames, dimensions, self.bits, own.decoder_hidden, own.decoder_depth, own.decoder_heads,
            learned_positions=True,
        )  # fmt: skip
        kind = GradedAutoencoder if own.sampler == "grade" else MaskedAutoencoder
        return kind(encoder, decoder, own.input_dropout)

    def objective(self, network: nn.Module, features: Features, context: FitContext) -> Objective:
        assert isinstance(network, MaskedAutoencoder)
        return AutoSsvhObjective(network, self.parameters, features.shape[1], context.device)
