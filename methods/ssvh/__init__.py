"""SSVH: a hierarchy of binary LSTMs that restores frames and gives videos with common neighbours like codes."""

from typing import ClassVar

import torch
from torch import nn

from bench.base.errors import InputError
from bench.context import FitContext
from bench.method import DeepMethod, Features, Objective, Shape, mean_pool

from .checkpoint import AUTHORS
from .neighbours import nearest_by_cosine, neighbourhood
from .network import SsvhNetwork
from .objective import SsvhObjective
from .parameters import SsvhParameters


class Ssvh(DeepMethod):
    """SSVH as its authors' code trains it, with each decoder reading its own states."""

    name = "ssvh"
    title = "SSVH"
    paper = "Song et al., Self-Supervised Video Hashing with Hierarchical Binary Auto-Encoder, TIP 2018"
    Parameters: ClassVar = SsvhParameters
    parameters: SsvhParameters
    authors = AUTHORS

    def check(self, shape: Shape) -> None:
        super().check(shape)
        if shape[1] < 2:
            raise InputError(f"{self.name} reads frames in pairs: it needs videos of 2 frames or more")

    def network(self, frames: int, dimensions: int) -> SsvhNetwork:
        return SsvhNetwork(frames, dimensions, self.bits, crossed_forward=self.parameters.crossed_forward)

    def encoder(self, network: nn.Module) -> nn.Module:
        assert isinstance(network, SsvhNetwork)
        return network.encoder

    def objective(self, network: nn.Module, features: Features, context: FitContext) -> Objective:
        assert isinstance(network, SsvhNetwork)
        own = self.parameters
        nearest = nearest_by_cosine(mean_pool(features), own.nearest + 1)
        memory = torch.zeros(len(features), self.bits, device=context.device)
        return SsvhObjective(network, own, neighbourhood(nearest, own.lending), memory)
