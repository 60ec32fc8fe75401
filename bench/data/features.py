"""Frame features `(N, T, D)` behind one small interface, in memory or on disk."""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.base.files import require_space
from bench.base.values import read_array
from bench.data.precision import PRECISIONS, Precision

Index = slice | NDArray[np.integer[Any]] | Sequence[int]
# Larger blocks are allocated from the system each time, which costs more than reading them.
BLOCK_BYTES = 16 * 2**20
# Larger means are kept in a file that the system can write out, instead of in memory.
MEANS_IN_MEMORY = 2 * 2**30
# Arrays up to this size are checked whole, larger ones by an evenly spread sample of this size.
SAMPLED_BYTES = 2 * 2**30


class Features(ABC):
    """N videos of T frames with D features each; indexing reads float32 copies of the chosen videos.

    Every method may be called from several threads at once.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """(N, T, D)."""

    @property
    @abstractmethod
    def dtype(self) -> Precision:
        """The precision of the stored values, which a lossless copy needs."""

    @abstractmethod
    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Videos `rows` (any order, repeats allowed, all within 0…N-1) as (n, T, D) float32."""

    @abstractmethod
    def read_slice(self, start: int, stop: int) -> NDArray[np.float32]:
        """Videos start…stop-1 as (n, T, D) float32."""

    def read_frames(self, rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Frame `numbers[i]` (0…T-1) of video `rows[i]`, as (n, D) float32."""
        return self.read(rows)[np.arange(len(rows)), numbers]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Index) -> NDArray[np.float32]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                return self.read_slice(start, max(start, stop))
            return self.read(np.arange(start, stop, step))
        rows = np.asarray(index)
        if rows.dtype == bool and rows.shape == (len(self),):
            rows = np.flatnonzero(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise IndexError(f"videos are asked for by a slice or a list of indices, not {index!r}")
        rows = rows.astype(np.int64)
        if rows.size and (rows.min() < -len(self) or rows.max() >= len(self)):
            raise IndexError(f"video index out of range: there are {len(self)} videos")
        return self.read(np.where(rows < 0, rows + len(self), rows))

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """All videos in order, as (index of the first, block), each block of about `block_bytes`."""
        count, step = len(self), videos_a_block(self.shape, block_bytes)
        for first in range(0, count, step):
            yield first, self.read_slice(first, min(first + step, count))


class ArrayFeatures(Features):
    """Features in an array: in memory, or a memory map."""

    def __init__(self, array: NDArray[np.floating[Any]]) -> None:
        if array.ndim != 3:
            raise InputError(f"features have shape {array.shape}; expected (videos, frames, dimensions)")
        self._array = array

    @property
    def shape(self) -> tuple[int, int, int]:
        count, frames, dimensions = self._array.shape
        return count, frames, dimensions

    @property
    def dtype(self) -> Precision:
        name = self._array.dtype.name
        return name if name in PRECISIONS else "float32"

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        # Always in C order: a network may round differently for another memory layout.
        return np.ascontiguousarray(self._array[rows], dtype=np.float32)

    def read_frames(self, rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.asarray(self._array[rows, numbers], dtype=np.float32)

    def read_slice(self, start: int, stop: int) -> NDArray[np.float32]:
        return np.array(self._array[start:stop], dtype=np.float32, order="C")


def as_features(values: object, name: str, *, pooled: bool) -> Features:
    """Features from `Features`, or from an array, tensor or list (N, T, D) of real numbers, which count as float32.

    With `pooled` two axes (N, D) are videos of one frame each. Raises InputError, with `name`, for anything else, and
    says how to give one video, or videos of different lengths.
    """
    if isinstance(values, Features):
        return values
    if hasattr(values, "features") or hasattr(values, "gallery"):
        part = "features" if hasattr(values, "features") else "query.features"
        raise InputError(f"{name}: a {type(values).__name__} holds features and more; give its .{part}")
    if isinstance(values, list | tuple):
        shapes = {tuple(getattr(row, "shape", (len(row) if hasattr(row, "__len__") else 0,))) for row in values}
        if len(shapes) > 1:
            several = " and ".join(map(str, sorted(shapes)[:2]))
            raise InputError(f"{name}: videos have shapes {several}; sample the same number of frames from each")
    array = read_array(values, name)  # type: ignore[arg-type]
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} hold {array.dtype}; give an array (videos, frames, dimensions) of real numbers")
    if array.ndim == 2 and pooled:
        array = array[:, None]
    if array.ndim != 3:
        one = ": give one video as array[None], videos of one feature vector each as array[:, None]"
        raise InputError(
            f"{name} have shape {array.shape}; expected (videos, frames, dimensions){one if array.ndim == 2 else ''}"
        )
    return ArrayFeatures(array)


def concatenated(parts: Sequence[Features], names: Sequence[str]) -> Features:
    """Several parts, in order, as one. Raises InputError, by their names, if they differ in frames or dimensions."""
    first, expected = names[0], parts[0].shape[1:]
    for part, name in zip(parts, names, strict=True):
        if part.shape[1:] != expected:
            fix = "all parts must agree"
            if part.shape[2] == expected[1]:
                fix = (
                    "sample as many frames of every video, such as numbers "
                    "numpy.linspace(0, len(frames) - 1, 25).round().astype(int)"
                )
            raise InputError(
                f"{name} has (frames, dimensions) = {part.shape[1:]}, but the first, {first}, has {expected}; {fix}"
            )
    return parts[0] if len(parts) == 1 else ConcatenatedFeatures(parts)


class ConcatenatedFeatures(Features):
    """Several parts of the same frames and dimensions, in order, as one array of features."""

    def __init__(self, parts: Sequence[Features]) -> None:
        self._parts = tuple(parts)
        self._starts = np.cumsum([0, *(len(part) for part in parts)])

    @property
    def shape(self) -> tuple[int, int, int]:
        return int(self._starts[-1]), *self._parts[0].shape[1:]

    @property
    def dtype(self) -> Precision:
        stored = {part.dtype for part in self._parts}
        if len(stored) == 1:
            return stored.pop()
        return "float64" if "float64" in stored else "float32"

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        out = np.empty((len(rows), *self.shape[1:]), dtype=np.float32)
        for part, chosen, own in self._by_part(rows):
            out[chosen] = part.read(own)
        return out

    def read_frames(self, rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        out = np.empty((len(rows), self.shape[2]), dtype=np.float32)
        for part, chosen, own in self._by_part(rows):
            out[chosen] = part.read_frames(own, numbers[chosen])
        return out

    def _by_part(self, rows: NDArray[np.int64]) -> Iterator[tuple[Features, NDArray[np.bool_], NDArray[np.int64]]]:
        """The parts that hold some of the rows, each with a mask of its rows and their numbers within the part."""
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(owner):
            chosen = owner == number
            yield self._parts[number], chosen, rows[chosen] - self._starts[number]

    def read_slice(self, start: int, stop: int) -> NDArray[np.float32]:
        stop = min(stop, len(self))
        held = range(np.searchsorted(self._starts, start, side="right") - 1, np.searchsorted(self._starts, stop))
        pieces = [
            self._parts[number].read_slice(
                max(start - self._starts[number], 0), min(stop, self._starts[number + 1]) - self._starts[number]
            )
            for number in held
        ]
        return np.concatenate(pieces) if pieces else np.zeros((0, *self.shape[1:]), dtype=np.float32)


def videos_a_block(shape: tuple[int, int, int], block_bytes: int = BLOCK_BYTES) -> int:
    """The number of videos of (T, D) float32 numbers in a block of about `block_bytes`; at least one."""
    return max(1, block_bytes // max(1, 4 * shape[1] * shape[2]))


def mean_pool(features: Features) -> NDArray[np.float32]:
    """The mean over the frames of every video, (N, D) float32, read block by block.

    Means of more than 2 GiB are an array in an unnamed temporary file that disappears with the array. Raises
    InputError if the disk has no room for it.
    """
    count, _, dimensions = features.shape
    pooled = _empty((count, dimensions))
    for start, block in features.blocks():
        pooled[start : start + len(block)] = block.mean(axis=1)
    return pooled


def _empty(shape: tuple[int, int]) -> NDArray[np.float32]:
    size = 4 * shape[0] * shape[1]
    if size <= MEANS_IN_MEMORY:
        return np.empty(shape, dtype=np.float32)
    folder = Path(tempfile.gettempdir())
    # A map of a file that the disk has no room for would end the process, not raise.
    require_space(folder, size, "the mean over the frames of every video", "name another folder in TMPDIR")
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, dtype=np.float32, mode="w+", shape=shape)


def blocks_to_check(features: Features, *, all_values: bool = False) -> list[range]:
    """The videos to check, block by block: all of them, or evenly spread blocks of `SAMPLED_BYTES` together."""
    count, frames, dimensions = features.shape
    step = videos_a_block(features.shape)
    every = 1 if all_values else max(1, -(-count * frames * dimensions * 4 // SAMPLED_BYTES))
    return [range(start, min(start + step, count)) for start in range(0, count, step * every)]


def require_finite(
    features: Features, source: str, *, all_values: bool = False, step: Callable[[], None] = lambda: None
) -> None:
    """InputError naming `source` and the first video with a NaN or infinite value; `step` is called per block."""
    for videos in blocks_to_check(features, all_values=all_values):
        finite = np.isfinite(features.read_slice(videos.start, videos.stop)).all(axis=(1, 2))
        if not finite.all():
            video = videos.start + int(np.flatnonzero(~finite)[0])
            raise InputError(f"{source}: video {video} has NaN or infinite features; remove or repair it")
        step()
