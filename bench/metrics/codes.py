"""Binary codes, packed into 64-bit words, and their diagnostics: useless bits, balance, correlation, distinct codes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from bench.base.errors import InputError
from bench.base.values import read_array, whole_number

# Distances are held in 16 bits.
MAX_BITS = 65_535


@dataclass(frozen=True, eq=False)
class PackedCodes:
    """n binary codes of K bits.

    Attributes:
        words: uint64 array (n, ceil(K / 64)). Bit b of a code is bit b % 64 of word b // 64; 1 stands for +1, 0 for -1
            (or for 0 in codes written as 0/1). Bits from K on are 0.
        bits: K, 1 to 65,535.

    Raises:
        InputError: the words have another type or shape, or hold bits beyond K.
    """

    words: NDArray[np.uint64]
    bits: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", whole_number(self.bits, "packed codes: bits", 1, MAX_BITS))
        width = -(-self.bits // 64)
        words = self.words
        plain = isinstance(words, np.ndarray) and not isinstance(words, np.ma.MaskedArray)
        if not plain or words.dtype != np.uint64 or words.ndim != 2 or words.shape[1] != width:
            found = f"{words.dtype} {words.shape}" if plain else type(words).__name__
            raise InputError(f"packed codes: {self.bits} bits need uint64 words of shape (n, {width}), got {found}")
        spare = 64 * width - self.bits
        if spare and np.any(words[:, -1] >> np.uint64(64 - spare)):
            raise InputError(f"packed codes: words hold bits beyond the {self.bits} of a code; pack with pack_codes")

    def __len__(self) -> int:
        return len(self.words)


def pack_codes(codes: ArrayLike) -> PackedCodes:
    """Pack binary codes into words.

    Args:
        codes: (n, K) array of ±1 or of 0/1, n >= 0, 1 <= K <= 65,535, of an integer or boolean type; floats are taken
            if they are exactly ±1 or 0/1.

    Raises:
        InputError: the array is not two-dimensional, or holds anything else; the first such value and its place are
            named.
    """
    return read_codes(codes, "codes")


def unpack_codes(packed: PackedCodes) -> NDArray[np.int8]:
    """The codes as an (n, K) int8 array of ±1."""
    flags = np.unpackbits(code_bytes(packed), axis=1, count=packed.bits, bitorder="little")
    return flags.astype(np.int8) * np.int8(2) - np.int8(1)


def code_bytes(packed: PackedCodes) -> NDArray[np.uint8]:
    """The codes as (n, ceil(K / 8)) bytes; bit b is bit b % 8 of byte b // 8."""
    octets = np.ascontiguousarray(packed.words, dtype="<u8").view(np.uint8)
    return octets[:, : -(-packed.bits // 8)]


def packed_bytes(octets: NDArray[np.uint8], bits: int) -> PackedCodes:
    """The codes whose `code_bytes` these are, (n, ceil(K / 8)). Raises InputError if bits after the last are not 0."""
    padded = np.zeros((len(octets), 8 * -(-bits // 64)), dtype=np.uint8)
    padded[:, : octets.shape[1]] = octets
    return PackedCodes(padded.view("<u8").astype(np.uint64, copy=False), bits)


def read_codes(codes: ArrayLike | PackedCodes, name: str) -> PackedCodes:
    """Check what the user gave as codes and pack it; error messages call it `name`."""
    if isinstance(codes, PackedCodes):
        return codes
    array = read_array(codes, name)
    if array.ndim != 2:
        raise InputError(f"{name} must be a two-dimensional array (n, bits), got shape {array.shape}")
    if not 1 <= array.shape[1] <= MAX_BITS:
        raise InputError(f"{name} must have 1 to {MAX_BITS} bits, got shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must hold integers or booleans (±1 or 0/1), got type {array.dtype}")
    positive = array == 1
    negative = array == -1 if array.dtype.kind in "if" and np.any(array < 0) else array == 0
    binary = positive | negative
    if not binary.all():
        row, column = (int(i) for i in np.argwhere(~binary)[0])
        fix = "use sign(x), and decide what a zero becomes" if array.dtype.kind == "f" else "use ±1 or 0/1"
        if np.any(array < 0) and array[row, column] == 0:
            fix = "it also holds -1, so 0 is neither; decide whether a zero becomes +1 or -1"
        raise InputError(f"{name} are not binary: {array[row, column]} at row {row}, column {column}; {fix}")
    return _pack(positive)


def read_pair(
    query_codes: ArrayLike | PackedCodes, gallery_codes: ArrayLike | PackedCodes | None
) -> tuple[PackedCodes, PackedCodes]:
    """Queries and gallery from what the user gave; without a gallery the queries are the gallery.

    Raises InputError if there are none of either, or they differ in length.
    """
    queries = _read_filled(query_codes, "query_codes")
    gallery = queries if gallery_codes is None else _read_filled(gallery_codes, "gallery_codes")
    if queries.bits != gallery.bits:
        raise InputError(
            f"query_codes have {queries.bits} bits but gallery_codes have {gallery.bits}; encode both alike"
        )
    return queries, gallery


def _read_filled(codes: ArrayLike | PackedCodes, name: str) -> PackedCodes:
    packed = read_codes(codes, name)
    if len(packed) == 0:
        raise InputError(f"{name} hold no codes; give at least one")
    return packed


def _pack(flags: NDArray[np.bool_]) -> PackedCodes:
    rows, bits = flags.shape
    octets = np.zeros((rows, 8 * -(-bits // 64)), dtype=np.uint8)
    octets[:, : -(-bits // 8)] = np.packbits(flags, axis=1, bitorder="little")
    return PackedCodes(octets.view("<u8").astype(np.uint64, copy=False), bits)


class Chance(BaseModel):
    """The score of random codes, and the standard error of the run's advantage over it."""

    model_config = ConfigDict(frozen=True)

    value: float = Field(ge=0, le=1)
    """The mean over the queries of AP@k, or recall@k, as the protocol compares."""
    error: float = Field(ge=0, le=1)
    """Standard error, over the queries, of the run's mean minus this one."""


class Diagnostics(BaseModel):
    """Properties of the codes of queries and gallery, independent of retrieval."""

    model_config = ConfigDict(frozen=True)

    constant_bits: int = Field(ge=0)
    """Bits that are the same for every video."""
    copied_bits: int = Field(ge=0)
    """Of the others those that copy an earlier bit, or its inverse."""
    distinct_codes: float = Field(gt=0, le=1)
    """The number of different codes over the number of videos."""
    bit_imbalance: float | None = Field(default=None, ge=0, le=1)
    """Mean over the bits of |2p - 1|, p the share of +1: 0 where all are even, 1 where all are constant."""
    bit_entropy: float | None = Field(default=None, ge=0, le=1)
    """Mean over the bits of -p log2 p - (1 - p) log2 (1 - p): 1 where all are even, 0 where all are constant."""
    bit_correlation: float | None = Field(default=None, ge=0, le=1)
    """Mean over the pairs of bits that vary of |ρ|, their correlation: 0 where all are independent, 1 where all are
    copies or inverses of each other."""
    effective_bits: float | None = Field(default=None, ge=1)
    """(Σλ)² / Σλ² of the eigenvalues λ of the bits' covariance: K where bits are even and uncorrelated, 1 where all
    are copies of one."""
    random: dict[str, dict[int, Chance]]
    """By protocol and k."""

    @model_serializer(mode="wrap")
    def _without_missing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Records of earlier versions, which did not know a quantity, stay as they are.
        return {name: value for name, value in handler(self).items() if value is not None}


def useless_bits(packed: PackedCodes) -> tuple[int, int]:
    """Number of bits that are the same for all n videos, and of others that copy an earlier bit or its inverse."""
    bits = unpack_codes(packed).T > 0
    varying = bits[bits.any(axis=1) & ~bits.all(axis=1)]
    # A bit and its inverse separate the same videos: both are normalised to 0 for the first video.
    columns = np.packbits(varying ^ varying[:, :1], axis=1)
    distinct = len(np.unique(columns, axis=0)) if len(columns) else 0
    return len(bits) - len(varying), len(varying) - distinct


def bit_balance(packed: PackedCodes) -> tuple[float, float]:
    """`bit_imbalance` and `bit_entropy` of codes, as in `Diagnostics`; both from 0 to 1."""
    positive = (unpack_codes(packed) > 0).mean(axis=0)
    shares = np.stack([positive, 1 - positive])
    # 0 log 0 is 0.
    entropy = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=0)
    return float(np.abs(2 * positive - 1).mean()), float(np.clip(entropy, 0, 1).mean())


def bit_correlation(packed: PackedCodes) -> tuple[float, float]:
    """`bit_correlation` and `effective_bits` of codes of which at least one bit varies, as in `Diagnostics`."""
    signs = unpack_codes(packed).astype(np.float32)
    mean = signs.mean(axis=0, dtype=np.float64)
    variance = 1 - mean**2
    varying = variance > 0
    scale = np.sqrt(np.where(varying, variance, np.inf))
    squares = correlations = 0.0
    for start in range(0, packed.bits, 1024):
        some = slice(start, start + 1024)
        # Sums of signs are whole numbers, exact in float32 up to 16 million videos.
        covariance = (signs[:, some].T @ signs).astype(np.float64) / len(packed) - np.outer(mean[some], mean)
        squares += float(np.square(covariance).sum())
        correlations += float(np.abs(covariance / scale[some, None] / scale).sum())
    count = int(varying.sum())
    # A bit is correlated with itself, which is no pair.
    pairs = max(1, count * (count - 1))
    return min(1.0, max(0.0, correlations - count) / pairs), max(1.0, float(variance.sum() ** 2 / squares))


def distinct_share(packed: PackedCodes) -> float:
    """The number of different codes over the number of videos, above 0, at most 1."""
    return len(np.unique(code_bytes(packed), axis=0)) / len(packed)


def random_codes(videos: int, bits: int) -> NDArray[np.int8]:
    """Codes (videos, bits) in ±1 that do not depend on the videos; the same at every call."""
    return np.random.default_rng(0).integers(0, 2, size=(videos, bits), dtype=np.int8) * np.int8(2) - np.int8(1)
