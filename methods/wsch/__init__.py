"""WSCH: a wide, shallow auto-encoder, trained on hidden frames, on clusters of its codes and on agreement in turn."""

from dataclasses import replace
from typing import Any, ClassVar

from torch import nn

from bench.base.errors import InputError
from bench.context import FitContext
from bench.method import DeepMethod, Features, Objective, Shape, train

from ..shared.views import require_hidden_frames
from .checkpoint import AUTHORS
from .network import WschDecoder, WschEncoder, WschNetwork
from .objective import ClusterObjective, PretrainingObjective
from .parameters import WschParameters

FEWEST_VIDEOS_A_CLUSTER = 5


class Wsch(DeepMethod):
    """WSCH as its anonymous authors' code (anon271/WSCH) trains it; no paper is known."""

    name = "wsch"
    title = "WSCH"
    Parameters: ClassVar = WschParameters
    parameters: WschParameters
    authors = AUTHORS

    @classmethod
    def defaults(cls, shape: Shape) -> dict[str, Any]:
        papers = WschParameters.model_fields["clusters"].default
        return {"clusters": max(2, min(papers, shape[0] // FEWEST_VIDEOS_A_CLUSTER))}

    def check(self, shape: Shape) -> None:
        super().check(shape)
        own, (videos, frames, _) = self.parameters, shape
        for parameter in ("pretraining_mask_ratio", "mask_ratio"):
            require_hidden_frames(self.name, frames, getattr(own, parameter), parameter)
        if own.clusters > videos:
            raise InputError(f"clusters: {own.clusters} of {videos} training videos; set {videos} or fewer")

    def network(self, frames: int, dimensions: int) -> WschNetwork:
        own = self.parameters
        encoder = WschEncoder(dimensions, self.bits, own.hidden)
        return WschNetwork(encoder, WschDecoder(dimensions, self.bits, own.decoder_hidden), own.clusters)

    def encoder(self, network: nn.Module) -> nn.Module:
        assert isinstance(network, WschNetwork)
        return network.encoder

    def objective(self, network: nn.Module, features: Features, context: FitContext) -> Objective:
        assert isinstance(network, WschNetwork)
        return ClusterObjective(network, self.parameters, features.shape)

    def fit(self, features: Features, context: FitContext) -> nn.Module:
        """Both stages; the second goes on with the weights and the moments of the first."""
        _, frames, dimensions = features.shape
        context.seed_torch("weights")
        network = self.network(frames, dimensions).to(context.device)
        # A separate history: the loss of the second stage is another quantity.
        own = replace(context, history=[])
        first = PretrainingObjective(network, self.parameters, features.shape)
        stage = f"{self.name}: reconstruction"
        optimiser = train(network, first, features, self.parameters.first_stage, own, stage)
        second = self.objective(network, features, context)
        train(network, second, features, self.parameters, context, self.name, optimiser=optimiser)
        return self.encoder(network)
