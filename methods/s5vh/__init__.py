"""S5VH: a bidirectional Mamba with a code per frame, trained on hidden frames, two views and clusters."""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bench.base.errors import InputError
from bench.context import FitContext
from bench.learning.structure.anchor_graph import nearest_anchors
from bench.learning.structure.kmeans import kmeans
from bench.learning.structure.projection import principal_projection
from bench.method import DeepMethod, Features, Shape, mean_pool

from ..shared.views import require_hidden_frames
from .centres import hash_centres
from .checkpoint import AUTHORS
from .mamba import draw_step_biases
from .network import S5vhDecoder, S5vhEncoder, S5vhNetwork
from .objective import S5vhObjective
from .parameters import S5vhParameters

FEWEST_VIDEOS_A_CLUSTER = 20


class S5vh(DeepMethod):
    """S5VH as its authors' code trains it."""

    name = "s5vh"
    title = "S5VH"
    paper = "Wang et al., Efficient Self-Supervised Video Hashing with Selective State Spaces, AAAI 2025"
    Parameters: ClassVar = S5vhParameters
    parameters: S5vhParameters
    authors = AUTHORS

    @classmethod
    def defaults(cls, shape: Shape) -> dict[str, Any]:
        """Clusters: those of the papers' datasets at their sizes, fewer on smaller ones."""
        videos, _, dimensions = shape
        papers = min(450, max(100, videos // 100))
        return {
            "clusters": max(2, min(papers, videos // FEWEST_VIDEOS_A_CLUSTER)),
            "pca": min(S5vhParameters.model_fields["pca"].default, videos, dimensions),
        }

    def check(self, shape: Shape) -> None:
        super().check(shape)
        own, (videos, frames, dimensions) = self.parameters, shape
        require_hidden_frames(self.name, frames, own.mask_ratio)
        if own.clusters > videos:
            raise InputError(f"clusters: {own.clusters} of {videos} training videos; set {videos} or fewer")
        if own.pca > min(videos, dimensions):
            raise InputError(
                f"pca: {own.pca} components of {videos} training videos with {dimensions} features; "
                f"set {min(videos, dimensions)} or fewer"
            )
        if own.centres == "fixed" and self.bits & (self.bits - 1):
            raise InputError(
                f"centres: fixed ones need a power of two as the number of bits, not {self.bits}; set centres=learned"
            )

    def network(self, frames: int, dimensions: int) -> S5vhNetwork:
        own = self.parameters
        encoder = S5vhEncoder(
            frames, dimensions, self.bits, own.hidden, own.layers, tied=own.tied, drop_path=own.drop_path
        )
        decoder = S5vhDecoder(frames, dimensions, self.bits, own.decoder_hidden, own.decoder_layers, tied=own.tied)
        network = S5vhNetwork(encoder, decoder, own.clusters)
        if own.delta_bias == "mamba":
            draw_step_biases(network)
        return network

    def encoder(self, network: nn.Module) -> nn.Module:
        assert isinstance(network, S5vhNetwork)
        return network.encoder

    def objective(self, network: nn.Module, features: Features, context: FitContext) -> S5vhObjective:
        assert isinstance(network, S5vhNetwork)
        own = self.parameters
        latent = principal_projection(mean_pool(features), own.pca)
        centres = kmeans(latent, own.clusters, context.seed)
        nearest, _ = nearest_anchors(latent, centres, 1)
        if own.centres == "fixed":
            fixed = hash_centres(own.clusters, self.bits, context.random("hash centres"))
            network.classifier.weight.requires_grad_(False).copy_(torch.from_numpy(fixed))
        return S5vhObjective(network, own, features.shape[1], one_hot(nearest[:, 0], own.clusters).to(context.device))


def one_hot(labels: NDArray[np.integer[Any]], clusters: int) -> Tensor:
    """Labels (N,) as (N, C) float32."""
    return functional.one_hot(torch.from_numpy(labels).long(), clusters).float()
