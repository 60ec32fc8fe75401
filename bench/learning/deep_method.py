"""Deep methods: what a subclass provides for the shared training loop."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from torch import Tensor, nn

from bench.base.errors import InputError
from bench.data.dataset import Summary
from bench.data.features import Features
from bench.learning.context import FitContext
from bench.learning.loop import train
from bench.learning.method import Method, Resources, Shape
from bench.learning.objective import Objective
from bench.learning.schedule import BaseSchedule


@dataclass(frozen=True)
class AuthorsWeights:
    """Names of the weights that a method's authors release, and what their shapes show."""

    names: Mapping[str, str]
    """Their name of every weight and statistic, by ours; names that a network lacks play no part."""
    input_weight: str
    """Their name of the first matrix, (H, D)."""
    code_weight: str
    """Their name of the last matrix of the encoder, (K, H)."""
    inputs_first: bool = False
    """Their first matrix is stored as (D, H)."""
    frames: Callable[[Mapping[str, Tensor]], Sequence[int]] | None = None
    """The numbers of frames that the weights, by their names, fit, the usual one first; None: no weight shows them."""
    shown: Callable[[Mapping[str, Tensor]], Mapping[str, Any]] | None = None
    """The method's parameters that the weights, by their names, show; None: `hidden`, the rows of `input_weight`."""
    hidden_settings: Mapping[str, str] = field(default_factory=dict)
    """The method's parameters that a caller may name since not every file shows them, with their meaning."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Numbers above 0 that encoding needs and the file does not hold, with their meaning; buffers of these names."""
    unused: frozenset[str] = frozenset()
    """Their names of weights that they store and never use."""
    repeated: Mapping[str, str] = field(default_factory=dict)
    """Parts of names under which they store weights a second time, by the part for the first."""


def count_blocks(weights: Mapping[str, Tensor], prefix: str) -> int:
    """The number of blocks that weights named `prefix` and a number belong to."""
    numbers = {name.removeprefix(prefix).partition(".")[0] for name in weights if name.startswith(prefix)}
    return len({number for number in numbers if number.isdecimal()})


class DeepMethod(Method):
    """A method that trains a network; a subclass defines the network and its objective."""

    parameters: BaseSchedule
    authors: ClassVar[AuthorsWeights | None] = None
    """Names of the authors' released weights, if the method can read them."""

    @classmethod
    def resources(cls, summary: Summary) -> Resources:
        """A whole GPU, where there is one; features are kept in memory only if they fit."""
        return replace(super().resources(summary), gpus=1.0)

    @abstractmethod
    def network(self, frames: int, dimensions: int) -> nn.Module:
        """The network to train, with its initial weights."""

    @abstractmethod
    def objective(self, network: nn.Module, features: Features, context: FitContext) -> Objective:
        """The objective that `network` is trained for, with all that is prepared once per training set."""

    def encoder(self, network: nn.Module) -> nn.Module:
        """The part of the network that encodes."""
        return network

    def check(self, shape: Shape) -> None:
        left = shape[0] - self.parameters.held_out(shape[0])
        if left < 2:
            raise InputError(f"{self.name} needs 2 training videos or more; {left} of {shape[0]} are left to train on")

    def build(self, frames: int, dimensions: int) -> nn.Module:
        return self.encoder(self.network(frames, dimensions))

    def fit(self, features: Features, context: FitContext) -> nn.Module:
        _, frames, dimensions = features.shape
        context.seed_torch("weights")
        network = self.network(frames, dimensions).to(context.device)
        objective = self.objective(network, features, context)
        train(network, objective, features, self.parameters, context, self.name)
        return self.encoder(network)
