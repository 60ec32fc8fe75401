"""Which of a network's parameters take part: in the network, in its training, in encoding."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bench.profile.complexity import parameter_count


class ParameterSplit(NamedTuple):
    """Numbers of parameters; each part lies within the one before."""

    instantiated: int
    trained: int
    encode: int


def split_parameters(network: nn.Module, encoder: nn.Module, frames: int, dimensions: int) -> ParameterSplit:
    """The parameters of `network` as it is trained, those that its pass over videos reads, those that encoding reads.

    `encoder` is the part that encodes, or the network itself. Where the network cannot be called on videos (n, T, D)
    alone, all its parameters count as used in training.
    """
    videos = torch.randn(2, frames, dimensions, generator=torch.Generator().manual_seed(0))
    instantiated = parameter_count(network)
    encode = _total(parameters_read(encoder, videos))
    try:
        trained = _total(parameters_read(network, videos))
    except Exception:  # a network whose pass takes more than videos may fail in any way
        trained = instantiated
    # What encodes was learned, also where it is no part of the pass that trains.
    return ParameterSplit(max(instantiated, encode), max(trained, encode), encode)


def parameters_read(module: nn.Module, videos: Tensor) -> list[nn.Parameter]:
    """The parameters that the module's pass over videos (n, T, D) hands to any torch function, each once."""
    watch = _Watch(module.parameters())
    device = next((parameter.device for parameter in module.parameters()), videos.device)
    with torch.no_grad(), watch:
        module(videos.to(device))
    return [watch.known[number] for number in watch.seen]


class _Watch(TorchFunctionMode):
    """Notes which of the known parameters are arguments of a torch function."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.known = {id(parameter): parameter for parameter in parameters}
        self.seen: dict[int, None] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._note((args, tuple((kwargs or {}).values())))
        return func(*args, **(kwargs or {}))

    def _note(self, value: Any) -> None:
        if isinstance(value, tuple | list):
            for entry in value:
                self._note(entry)
        elif id(value) in self.known:
            self.seen[id(value)] = None


def _total(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
