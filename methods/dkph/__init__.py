"""DKPH: BTH's encoder with one code a video, and a temporal stream for what its frames differ in."""

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from bench.context import FitContext
from bench.learning.layers import cluster_loss, similarity_loss
from bench.method import AuthorsWeights, Batch, Features

from ..bth import BthParameters, NeighbourMethod, PairObjective
from ..bth.checkpoint import INPUT, UNUSED, names
from .network import DkphNetwork

AUTHORS = AuthorsWeights(
    names=names({"encoder.hash": "hid_b", "temporal": "temporal", "decoder": "decoder"}),
    input_weight=f"{INPUT}.weight",
    code_weight="hid_b.weight",
    frames=lambda weights: (max(1, weights["hid_b.weight"].shape[1] // len(weights[f"{INPUT}.weight"])),),
    unused=UNUSED,
)
"""The authors' names of the weights (IMCCretrieval/DKPH)."""


class DkphParameters(BthParameters):
    """The authors' values; the first stage is trained as BTH's."""

    epochs: int = Field(49, ge=1, le=10**9)
    reconstruction_epochs: int | None = Field(56, ge=1)
    """Epochs of the first stage; null: as many as `epochs`."""
    reconstruction_weight: float = Field(1.0, ge=0)
    similarity_weight: float = Field(0.11, ge=0)
    anchor_weight: float = Field(0.9, ge=0)
    """Of the anchor loss and the triplet loss together."""
    triplet_weight: float = Field(0.1, ge=0)
    """Of the triplet loss beside the anchor loss."""
    triplet_margin: float = Field(0.5, ge=0)


class Dkph(NeighbourMethod):
    """DKPH as its authors' code trains it, on BTH's anchors and neighbours: how its own graph was made is not known."""

    name = "dkph"
    title = "DKPH (BTH's graph)"
    paper = "Li et al., Dual-Stream Knowledge-Preserving Hashing for Unsupervised Video Retrieval, ECCV 2022"
    Parameters: ClassVar = DkphParameters
    parameters: DkphParameters
    authors = AUTHORS

    def network(self, frames: int, dimensions: int) -> DkphNetwork:
        return DkphNetwork(frames, dimensions, self.bits, self.parameters.hidden)

    def encoder(self, network: nn.Module) -> nn.Module:
        assert isinstance(network, DkphNetwork)
        return network.encoder

    def objective(self, network: nn.Module, features: Features, context: FitContext) -> "DkphObjective":
        assert isinstance(network, DkphNetwork)
        return DkphObjective(network, self.parameters, *self.neighbours(features, context), features.shape[1])


class DkphObjective(PairObjective):
    """Reconstruction + 0.9·(anchor + 0.1·triplet) + 0.11·similarity, over BTH's pairs of videos."""

    parameters: DkphParameters

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        parameters, values = self.parameters, batch.values
        (hidden1, hidden2), (codes1, codes2), reconstruction = self.forward(batch)
        similarity = similarity_loss(codes1, codes2, values["sign"])
        anchor = cluster_loss(hidden1, hidden2, values["anchor_first"], values["anchor_second"])
        # A similar pair weighs 0: both its distances are those to the origin, and the loss is the margin.
        dissimilar = (1 - values["sign"][:, None]) / 2
        triplet = functional.triplet_margin_loss(
            hidden1.mean(dim=1),
            dissimilar * values["anchor_first"],
            dissimilar * values["anchor_second"],
            margin=parameters.triplet_margin,
        )
        total = (
            parameters.reconstruction_weight * reconstruction
            + parameters.anchor_weight * (anchor + parameters.triplet_weight * triplet)
            + parameters.similarity_weight * similarity
        )
        return {
            "loss": total,
            "reconstruction": reconstruction,
            "similarity": similarity,
            "anchor": anchor,
            "triplet": triplet,
        }
