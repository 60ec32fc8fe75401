"""MCMSH: MC-MLP trained to preserve clusters, similarities and quadruplets."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from bench.context import FitContext
from bench.learning.layers import cluster_loss, similarity_loss
from bench.learning.structure.anchor_graph import AnchorGraph, anchor_graph, draw_pairs, principal_components
from bench.learning.structure.kmeans import kmeans, require_anchors
from bench.method import (
    AuthorsWeights,
    Batch,
    DeepMethod,
    Draw,
    Features,
    Objective,
    Schedule,
    Shape,
    draw_corruption,
    mean_pool,
)

from .checkpoint import AUTHORS
from .losses import quadruplet_loss, quantisation_loss
from .mixer import Branch, McMlp
from .training_pass import embed

VIDEOS_AN_ANCHOR = 20


class McmshParameters(Schedule):
    """The paper's values. On sets too small for 2000 anchors the default is one anchor for 20 videos."""

    branches: tuple[Branch, ...] = ("long", "middle", "short")
    hidden: int = Field(256, ge=16, multiple_of=16)
    anchors: int = Field(2000, ge=2)
    cluster_weight: float = Field(0.8, ge=0)
    similarity_weight: float = Field(0.1, ge=0)
    quantisation_weight: float = Field(0.01, ge=0)
    quadruplet_weight: float = Field(0.01, ge=0)
    corruption: float = Field(0.15, ge=0, le=1)


class Mcmsh(DeepMethod):
    """MCMSH as the paper describes it; spec and differences from the authors' code are in the README of methods/."""

    name = "mcmsh"
    title = "MCMSH"
    revision = 2
    paper = (
        "Hao et al., Unsupervised Video Hashing with Multi-granularity Contextualization and Multi-structure "
        "Preservation, ACM MM 2022"
    )
    Parameters: ClassVar = McmshParameters
    parameters: McmshParameters
    authors: ClassVar[AuthorsWeights | None] = AUTHORS

    @classmethod
    def defaults(cls, shape: Shape) -> dict[str, Any]:
        return {"anchors": min(2000, max(2, shape[0] // VIDEOS_AN_ANCHOR))}

    def check(self, shape: Shape) -> None:
        super().check(shape)
        require_anchors(self.parameters.anchors, shape[0])

    def network(self, frames: int, dimensions: int) -> McMlp:
        return McMlp(frames, dimensions, self.bits, self.parameters.hidden, self.parameters.branches)

    def objective(self, network: nn.Module, features: Features, context: FitContext) -> "McmshObjective":
        assert isinstance(network, McMlp)
        pooled = mean_pool(features)
        centres = kmeans(pooled, self.parameters.anchors, context.seed)
        graph = anchor_graph(pooled, centres)
        targets = principal_components(centres, self.parameters.hidden)[graph.anchors[:, 0]]
        return McmshObjective(network, self.parameters, graph, targets, features.shape[1])


class McmshObjective(Objective):
    """0.8·cluster + 0.1·similarity + 0.01·quantisation + 0.01·quadruplet, over pairs and quadruplets of videos."""

    def __init__(
        self,
        network: McMlp,
        parameters: McmshParameters,
        graph: AnchorGraph,
        centres: NDArray[np.float32],
        frames: int,
    ) -> None:
        self._network = network
        self._parameters = parameters
        self._graph = graph
        self._centres = centres
        self._frames = frames

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        pairs = draw_pairs(self._graph, videos, among, random)
        drawn = {"first": videos, "second": pairs.partner}
        corruption = {
            name: draw_corruption(random, len(videos), self._frames, among, self._parameters.corruption)
            for name in drawn
        }
        if self._parameters.quadruplet_weight:
            drawn |= {
                "similar": pairs.similar,
                "dissimilar1": pairs.dissimilar1,
                "dissimilar2": pairs.dissimilar2,
            }
        values = {
            "sign": pairs.sign,
            "centre_first": self._centres[videos],
            "centre_second": self._centres[pairs.partner],
        }
        return Draw(drawn, values, corruption)

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        network, parameters, values = self._network, self._parameters, batch.values
        network.alpha.fill_((epoch + 1) ** 0.5)
        names = ("similar", "dissimilar1", "dissimilar2") if parameters.quadruplet_weight else ()
        videos = [batch.corrupted["first"], batch.corrupted["second"], *(batch.videos[name] for name in names)]
        (frames_first, frames_second, *_), (first, second, *others) = embed(network, videos)
        parts = {
            "cluster": cluster_loss(frames_first, frames_second, values["centre_first"], values["centre_second"]),
            "similarity": similarity_loss(first, second, values["sign"]),
            "quantisation": quantisation_loss(first, second),
        }
        if parameters.quadruplet_weight:
            parts["quadruplet"] = quadruplet_loss(first, *others)
        return {"loss": total_loss(parts, parameters), **parts}


def total_loss(parts: Mapping[str, Tensor], parameters: McmshParameters) -> Tensor:
    """The weighted sum of the parts of the loss."""
    weights = {
        "cluster": parameters.cluster_weight,
        "similarity": parameters.similarity_weight,
        "quantisation": parameters.quantisation_weight,
        "quadruplet": parameters.quadruplet_weight,
    }
    return torch.stack([weights[name] * part for name, part in parts.items()]).sum()
