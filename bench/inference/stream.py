"""Codes of any number of videos, block by block: the next block is read while one is encoded."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bench.data.features import BLOCK_BYTES, Features
from bench.errors import InputError
from bench.inference.backends import CHUNK, Forward
from bench.threads import threads


class OutputError(RuntimeError):
    """What a network gives is no code."""


def block_size(shape: tuple[int, int, int]) -> int:
    """Videos a block for features of this shape (N, T, D): whole chunks, of about `BLOCK_BYTES`."""
    _, frames, dimensions = shape
    return CHUNK * max(1, BLOCK_BYTES // max(1, 4 * CHUNK * frames * dimensions))


def encoded_blocks(
    forward: Forward, features: Features, bits: int, method: str, first: int = 0
) -> Iterator[tuple[int, NDArray[np.int8]]]:
    """(first video, codes (n, K) int8 in ±1) of the videos from `first` on, which must be a multiple of `CHUNK`.

    Chunks start at multiples of `CHUNK` wherever one starts, so the codes do not depend on it. Raises InputError if a
    feature is NaN or infinite, OutputError if the network's outputs are, or have another shape than (n, bits).
    """
    size = block_size(features.shape)
    starts = range(first, len(features), size)
    with threads(1) as reader:
        ahead = None
        for start in starts:
            block = (ahead or reader.submit(_read, features, start, size)).result()
            ahead = reader.submit(_read, features, start + size, size) if start + size < len(features) else None
            relaxed = np.concatenate([forward(block[at : at + CHUNK]) for at in range(0, len(block), CHUNK)])
            if relaxed.shape != (len(block), bits):
                raise OutputError(
                    f"{method} gave outputs of shape {relaxed.shape} for {len(block)} videos; "
                    f"expected {(len(block), bits)}"
                )
            if not np.isfinite(relaxed).all():
                raise OutputError(f"{method} gave NaN or infinite outputs")
            yield start, np.where(relaxed >= 0, 1, -1).astype(np.int8)


def _read(features: Features, start: int, size: int) -> NDArray[np.float32]:
    block = features[start : min(start + size, len(features))]
    # One pass: a sum without NaN or infinity has none in it. A sum may overflow, hence the look at every value.
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(block.sum())
    if suspicious and not (finite := np.isfinite(block).all(axis=(1, 2))).all():
        raise InputError(f"features of video {start + int(np.argmin(finite))}: NaN or infinite values")
    return block
