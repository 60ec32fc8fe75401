"""References that are no hash: they rank by inner products of vectors, and are shown beside the methods."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from bench.learning.method import Method


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
