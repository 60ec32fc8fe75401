"""What binary codes look like, whatever they retrieve: bits that say nothing, codes that many videos share."""

import numpy as np
from numpy.typing import NDArray

from bench.metrics.codes import PackedCodes, code_bytes, unpack_codes


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
