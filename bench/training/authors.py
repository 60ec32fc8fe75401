"""How the weights that a method's authors released are named."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class AuthorsWeights:
    """How a method's authors name the weights that they release."""

    names: Mapping[str, str]
    """Their name of every weight and statistic, by ours."""
    input_weight: str
    """Their name of the first matrix, (H, D)."""
    code_weight: str
    """Their name of the last matrix of the encoder, (K, H)."""
    frames_weight: str | None = None
    """Their name of a matrix (S, T), whose second axis is the frames; None: no weight tells them."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Numbers above 0 that encoding needs and the file does not hold, with their meaning; buffers of these names."""
    unused: frozenset[str] = frozenset()
    """Their names of what they store and never use."""
