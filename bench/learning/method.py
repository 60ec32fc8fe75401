"""Hashing methods, and references without codes: name, paper, parameters with defaults, and learning an encoder."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from bench.data.dataset import Summary
from bench.data.features import Features, mean_pool
from bench.learning.context import FitContext

Shape = tuple[int, int, int]
PROCESS_BYTES = 10**9
# A mean over the frames, a centred copy, and another in float64.
BYTES_A_MEAN = 4 + 4 + 8


class Parameters(BaseModel):
    """A method's parameters: annotated fields with defaults; values are checked, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Resources:
    """Resources that a run requests from a cluster; one machine gives what it has."""

    cpus: int = 1
    """Also the number of threads."""
    gpus: float = 0.0
    """Used if there are any; a method must also run without. Fractions of one are allowed."""
    memory: int | None = None
    """Bytes for all processes of the run; None: no request."""


class Method(ABC):
    """One hashing method at one code length.

    A subclass names itself, declares its parameters, builds its encoder and fits it. The encoder is a torch module from
    features (n, T, D) to real numbers (n, K); a code is their sign, 0 counting as +1.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str] = ""
    revision: ClassVar[int] = 1
    """Raise it when a change of the code changes the codes: stored runs of older revisions are then not reused."""
    bound: ClassVar[bool] = False
    """Whether it is shown as a bound beside the methods, and not ranked with them."""
    reference: ClassVar[bool] = False
    """Whether it ranks by vectors and has no codes: see `Reference`."""
    uses_labels: ClassVar[bool] = False
    """Whether the method sees labels, which makes it a bound. Its encoder takes labels (n, C) for features."""
    seeded: ClassVar[bool] = True
    """Whether the seed changes what is learned. If a class itself sets False, one run counts for all seeds."""
    Parameters: ClassVar[type[Parameters]] = Parameters

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A subclass of a method without random draws may draw.
        cls.seeded = vars(cls).get("seeded", True)

    def __init__(self, bits: int, parameters: Any) -> None:
        self.bits = bits
        self.parameters = parameters

    @classmethod
    def defaults(cls, shape: Shape) -> dict[str, Any]:
        """Defaults that depend on the training set's (N, T, D), in place of the declared ones."""
        return {}

    @classmethod
    def resources(cls, summary: Summary) -> Resources:
        """Resources of a run on this dataset: here memory for libraries and the mean-pooled training features."""
        return Resources(memory=PROCESS_BYTES + BYTES_A_MEAN * summary.train_videos * summary.dimensions)

    def check(self, shape: Shape) -> None:  # noqa: B027  most methods can learn from anything
        """InputError if the method cannot learn from a training set of this (N, T, D), before any work."""

    def code_bytes(self, dimensions: int) -> int:
        """Bytes that a search keeps of a gallery item of `dimensions` features."""
        return -(-self.bits // 8)

    @abstractmethod
    def build(self, frames: int, dimensions: int) -> nn.Module:
        """The encoder for videos of `frames` frames and `dimensions` features, untrained."""

    @abstractmethod
    def fit(self, features: Features, context: FitContext) -> nn.Module:
        """The encoder learned from the training features (N, T, D); `context` gives seed, device and progress."""


class LinearHash(nn.Module):
    """Mean over the frames, centred, projected: (n, T, D) → (n, K)."""

    def __init__(self, mean: Tensor, weight: Tensor) -> None:
        super().__init__()
        self.mean = nn.Parameter(mean, requires_grad=False)
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, videos: Tensor) -> Tensor:
        return (videos.mean(dim=1) - self.mean) @ self.weight


class ShallowMethod(Method):
    """A method that projects the mean-pooled feature; a subclass chooses the directions."""

    @abstractmethod
    def directions(self, centred: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.floating[Any]]:
        """The projections (D, K), from centred mean-pooled training features (N, D)."""

    def build(self, frames: int, dimensions: int) -> nn.Module:
        return LinearHash(torch.zeros(dimensions), torch.zeros(dimensions, self.bits))

    def fit(self, features: Features, context: FitContext) -> nn.Module:
        pooled = mean_pool(features)
        mean = pooled.mean(axis=0)
        weight = self.directions(pooled - mean, context.random("directions"))
        return LinearHash(torch.from_numpy(mean), torch.from_numpy(np.ascontiguousarray(weight, dtype=np.float32)))


class VectorEncoder(nn.Module, ABC):
    """Vectors of videos. The similarity of a query to a gallery item is the inner product of their two vectors.

    That covers every distance that a reference needs: the cosine, of unit vectors; the squared distance of q and v, as
    -|q - v|² = [q, 1] · [2 v, -|v|²] - |q|², whose last term is the same for all items.
    """

    @abstractmethod
    def forward(self, videos: Tensor) -> Tensor:
        """The vectors of videos as gallery items: (n, T, D) → (n, m)."""

    @abstractmethod
    def queries(self, videos: Tensor) -> Tensor:
        """The vectors of videos as queries: (n, T, D) → (n, m)."""


class Reference(Method):
    """A search without codes: float vectors, or what takes their place at the same bytes.

    Its `fit` and `build` give a `VectorEncoder`. It is never ranked among codes.
    """

    bound: ClassVar[bool] = True
    reference: ClassVar[bool] = True
