"""BTH: a transformer that restores frames from their codes and keeps neighbours near, trained in two stages."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from bench.context import FitContext
from bench.learning.layers import cluster_loss, similarity_loss
from bench.learning.structure.anchor_graph import AnchorGraph, anchor_graph, draw_pairs
from bench.learning.structure.kmeans import kmeans, require_anchors
from bench.method import Batch, DeepMethod, Draw, Features, Objective, Schedule, Shape, draw_corruption, train

from .checkpoint import AUTHORS
from .network import BthNetwork, reconstruction_loss

VIDEOS_AN_ANCHOR = 20
STAGE = "bth: reconstruction"
"""The name of the first stage, and of its random numbers, in all methods that begin with it."""


class ReconstructionParameters(Schedule):
    """All that the first stage depends on, besides the bits."""

    hidden: int = Field(256, ge=2, multiple_of=2)
    corruption: float = Field(0.15, ge=0, le=1)
    reconstruct_corrupted: bool = False
    """Restore the corrupted frames, as the authors' code does, instead of the clean ones, as the paper says."""


class BthParameters(ReconstructionParameters):
    """The paper's values. On sets too small for 2000 anchors the default is one anchor for 20 videos."""

    anchors: int = Field(2000, ge=2)
    reconstruction_epochs: int | None = Field(None, ge=1)
    """Epochs of the first stage; none given: as many as `epochs`."""
    reconstruction_weight: float = Field(0.92, ge=0)
    similarity_weight: float = Field(0.08, ge=0)
    anchor_weight: float = Field(0.8, ge=0)

    def first_stage(self) -> ReconstructionParameters:
        """The parameters of the first stage."""
        taken = self.model_dump(include=set(ReconstructionParameters.model_fields))
        return ReconstructionParameters(**taken | {"epochs": self.reconstruction_epochs or self.epochs})


class NeighbourMethod(DeepMethod):
    """A method that trains on pairs of BTH's anchor graph, after BTH's first stage."""

    parameters: BthParameters

    @classmethod
    def defaults(cls, shape: Shape) -> dict[str, Any]:
        return {"anchors": min(2000, max(2, shape[0] // VIDEOS_AN_ANCHOR))}

    def check(self, shape: Shape) -> None:
        super().check(shape)
        require_anchors(self.parameters.anchors, shape[0])

    def neighbours(self, features: Features, context: FitContext) -> tuple[AnchorGraph, NDArray[np.float32]]:
        """The anchor graph of the first stage's hidden states, and every video's nearest anchor (N, H).

        Of the methods that begin with this stage the first to run trains it; the others find it, equal to the bit.
        """
        _, frames, dimensions = features.shape
        parameters = self.parameters.first_stage()
        context.seed_torch("reconstruction", "weights")
        network = BthNetwork(frames, dimensions, self.bits, parameters.hidden).to(context.device)
        objective = ReconstructionObjective(network, parameters, frames)
        # A separate history: the run's loss curve is that of the second stage, whose loss is another quantity.
        own = replace(context, history=[])
        key = f"{self.bits} bits {parameters.model_dump_json()}"
        if context.states and context.states.borrow(STAGE, key):
            context.say(f"{STAGE}: found in the cache; the seconds that it took count")
        train(network, objective, features, parameters, own, STAGE)
        if context.states:
            context.states.lend(STAGE, key)
        latent = latent_features(network, features, context.device)
        anchors = kmeans(latent, self.parameters.anchors, context.seed)
        graph = anchor_graph(latent, anchors)
        return graph, anchors[graph.anchors[:, 0]]


class Bth(NeighbourMethod):
    """BTH as the paper describes it: stage 1 restores frames; its hidden states give stage 2 anchors and neighbours."""

    name = "bth"
    title = "BTH"
    revision = 2
    paper = "Li et al., Self-Supervised Video Hashing via Bidirectional Transformers, CVPR 2021"
    Parameters: ClassVar = BthParameters
    authors = AUTHORS

    def network(self, frames: int, dimensions: int) -> BthNetwork:
        return BthNetwork(frames, dimensions, self.bits, self.parameters.hidden)

    def encoder(self, network: nn.Module) -> nn.Module:
        assert isinstance(network, BthNetwork)
        return network.encoder

    def objective(self, network: nn.Module, features: Features, context: FitContext) -> "NeighbourObjective":
        assert isinstance(network, BthNetwork)
        return NeighbourObjective(network, self.parameters, *self.neighbours(features, context), features.shape[1])


def latent_features(network: BthNetwork, features: Features, device: torch.device) -> NDArray[np.float32]:
    """Mean over the frames of the hidden states of every training video, (N, H)."""
    with torch.inference_mode():
        blocks = [
            network.encoder.hidden(torch.from_numpy(features[start : start + 256]).to(device)).mean(dim=1).cpu().numpy()
            for start in range(0, len(features), 256)
        ]
    return np.concatenate(blocks)


@dataclass(frozen=True)
class ReconstructionObjective(Objective):
    """Stage 1: restore the frames of a video from their codes."""

    network: BthNetwork
    parameters: ReconstructionParameters
    frames: int

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        plan = draw_corruption(random, len(videos), self.frames, among, self.parameters.corruption)
        return Draw({"first": videos}, corruption={"first": plan})

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        target = (batch.corrupted if self.parameters.reconstruct_corrupted else batch.videos)["first"]
        _, _, restored = self.network(batch.corrupted["first"])
        return {"loss": reconstruction_loss((restored,), (target,))}


@dataclass(frozen=True)
class PairObjective(Objective):
    """A training over pairs of videos, similar or not by the anchor graph, whose frames are restored."""

    network: nn.Module
    """From videos to hidden states (B, T, H), codes (B, …, K), and restored frames (B, T, D)."""
    parameters: BthParameters
    graph: AnchorGraph
    anchors: NDArray[np.float32]
    """(N, H): the anchor nearest to every training video."""
    frames: int

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        pairs = draw_pairs(self.graph, videos, among, random)
        drawn = {"first": videos, "second": pairs.partner}
        corruption = {
            name: draw_corruption(random, len(videos), self.frames, among, self.parameters.corruption) for name in drawn
        }
        values = {
            "sign": pairs.sign,
            "anchor_first": self.anchors[videos],
            "anchor_second": self.anchors[pairs.partner],
        }
        return Draw(drawn, values, corruption)

    def forward(self, batch: Batch) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], Tensor]:
        """Hidden states (B, T, H) and codes (B, …, K) of both videos of the pairs, and the reconstruction loss."""
        targets = batch.corrupted if self.parameters.reconstruct_corrupted else batch.videos
        both = torch.cat([batch.corrupted["first"], batch.corrupted["second"]])
        # Without batch statistics both videos of the pairs can pass the network as one batch.
        hidden, codes, restored = (part.chunk(2) for part in self.network(both))
        return hidden, codes, reconstruction_loss(restored, (targets["first"], targets["second"]))


class NeighbourObjective(PairObjective):
    """Stage 2: 0.92·reconstruction + 0.08·similarity + 0.8·anchor."""

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        parameters, values = self.parameters, batch.values
        (hidden1, hidden2), (codes1, codes2), reconstruction = self.forward(batch)
        similarity = similarity_loss(codes1.mean(dim=1), codes2.mean(dim=1), values["sign"])
        anchor = cluster_loss(hidden1, hidden2, values["anchor_first"], values["anchor_second"])
        total = (
            parameters.reconstruction_weight * reconstruction
            + parameters.similarity_weight * similarity
            + parameters.anchor_weight * anchor
        )
        return {"loss": total, "reconstruction": reconstruction, "similarity": similarity, "anchor": anchor}
