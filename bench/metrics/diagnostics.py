"""What binary codes look like, whatever they retrieve: bits that say nothing, codes that many videos share."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from bench.metrics.codes import PackedCodes, code_bytes, unpack_codes


class Chance(BaseModel):
    """What random codes score in a run's place, and how sure it is that the run scores more."""

    model_config = ConfigDict(frozen=True)

    value: float = Field(ge=0, le=1)
    """The mean over the queries, of what the protocol compares: AP@k, or recall@k."""
    error: float = Field(ge=0, le=1)
    """Standard error, over the queries, of the run's mean minus this one."""


class Diagnostics(BaseModel):
    """What the codes of queries and gallery look like, whatever they retrieve."""

    model_config = ConfigDict(frozen=True)

    constant_bits: int = Field(ge=0)
    """Bits that are the same for every video."""
    copied_bits: int = Field(ge=0)
    """Of the others those that copy an earlier bit, or its inverse."""
    distinct_codes: float = Field(gt=0, le=1)
    """The number of different codes over the number of videos."""
    random: dict[str, dict[int, Chance]]
    """By protocol and k."""


def useless_bits(packed: PackedCodes) -> tuple[int, int]:
    """How many bits are the same for all n videos, and how many of the others copy an earlier bit or its inverse."""
    bits = unpack_codes(packed).T > 0
    varying = bits[bits.any(axis=1) & ~bits.all(axis=1)]
    # A bit and its inverse tell the same videos apart: both are written with the first video at 0.
    columns = np.packbits(varying ^ varying[:, :1], axis=1)
    distinct = len(np.unique(columns, axis=0)) if len(columns) else 0
    return len(bits) - len(varying), len(varying) - distinct


def distinct_share(packed: PackedCodes) -> float:
    """The number of different codes over the number of videos, above 0, at most 1."""
    return len(np.unique(code_bytes(packed), axis=0)) / len(packed)


def random_codes(videos: int, bits: int) -> NDArray[np.int8]:
    """Codes (videos, bits) in ±1 that know nothing of the videos; the same at every call."""
    return np.random.default_rng(0).integers(0, 2, size=(videos, bits), dtype=np.int8) * np.int8(2) - np.int8(1)
