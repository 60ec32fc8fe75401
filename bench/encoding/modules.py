"""The module of an encoder: its form for inference, and the description from which it is rebuilt."""

from collections.abc import Callable
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from bench.learning.method import VectorEncoder

Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Relaxed outputs (n, K) of features (n, T, D), for as many videos as pass together."""


class EncoderDescription(BaseModel):
    """The content of `encoder.json`: all that is needed to rebuild the module."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    method: str
    bits: int = Field(ge=1, le=1024)
    frames: int = Field(ge=1, lt=2**31)
    dimensions: int = Field(ge=1, lt=2**31)
    parameters: dict[str, Any]


@runtime_checkable
class HasInferenceModule(Protocol):
    """A network with a faster form for inference."""

    def inference_module(self) -> nn.Module:
        """The same function (n, T, D) → (n, K) in evaluation mode, equal up to rounding, with copied weights.

        It holds plain layers and buffers only, has no branches that depend on values, takes any n, works in bfloat16
        after `.to(torch.bfloat16)` and gives float32, so that it can be compiled and exported. A module in it that has
        an attribute `compilable = False` is not compiled: its backend `compiled` is refused.
        """


def inference_module(module: nn.Module) -> nn.Module:
    """The faster form of `module` in evaluation mode, or `module` itself if it has none."""
    return module.inference_module().eval() if isinstance(module, HasInferenceModule) else module.eval()


class QueryForm(nn.Module):
    """The vectors of videos as queries, from the encoder of a reference: (n, T, D) → (n, m)."""

    def __init__(self, encoder: VectorEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, videos: Tensor) -> Tensor:
        return self.encoder.queries(videos)
