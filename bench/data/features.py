"""Frame features `(N, T, D)` behind one small interface, in memory or on disk."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import InputError

Index = slice | NDArray[np.integer[Any]] | Sequence[int]
BLOCK_BYTES = 64 * 2**20


class Features(ABC):
    """N videos of T frames with D features each; indexing reads float32 copies of the videos asked for."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """(N, T, D)."""

    @abstractmethod
    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Videos `rows` (any order, repeats allowed, all within 0…N-1) as (n, T, D) float32."""

    @abstractmethod
    def read_slice(self, start: int, stop: int) -> NDArray[np.float32]:
        """Videos start…stop-1 as (n, T, D) float32."""

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
        """All videos in order as (index of the first, block), each block of about `block_bytes`."""
        count, frames, dimensions = self.shape
        step = max(1, block_bytes // max(1, 4 * frames * dimensions))
        for start in range(0, count, step):
            yield start, self.read_slice(start, min(start + step, count))


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

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.asarray(self._array[rows], dtype=np.float32)

    def read_slice(self, start: int, stop: int) -> NDArray[np.float32]:
        return np.array(self._array[start:stop], dtype=np.float32)


class Hdf5Features(Features):
    """Features in one dataset of an HDF5 file, read as they are needed.

    Raises InputError if the file or the key is missing, is not HDF5, or holds no (N, T, D) array of floats.
    """

    def __init__(self, path: Path, key: str = "feats") -> None:
        self._path, self._key = path, key
        # Opened once here so that a wrong file is refused before any work starts.
        array = self._array
        if len(array.shape) != 3:
            raise InputError(f"{path}: '{key}' has shape {array.shape}; expected (videos, frames, dimensions)")
        if array.dtype.kind != "f":
            raise InputError(f"{path}: '{key}' holds {array.dtype}; expected float16, float32 or float64")
        if 0 in array.shape:
            raise InputError(f"{path}: '{key}' is empty (shape {array.shape}); write at least one video to it")

    @cached_property
    def _array(self) -> Any:
        from bench.data.files import open_hdf5  # noqa: PLC0415  h5py is slow to import

        file = open_hdf5(self._path)
        if self._key not in file:
            raise InputError(f"{self._path}: no dataset '{self._key}'; it holds {', '.join(file) or 'nothing'}")
        array = file[self._key]
        if not hasattr(array, "dtype"):
            raise InputError(f"{self._path}: '{self._key}' is a group; expected a dataset (videos, frames, dimensions)")
        return array

    def _read(self, selection: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        try:
            return np.asarray(self._array[selection], dtype=np.float32)
        except OSError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{self._path}: '{self._key}' cannot be read ({reason}); download it again") from error

    @property
    def shape(self) -> tuple[int, int, int]:
        count, frames, dimensions = self._array.shape
        return count, frames, dimensions

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        # HDF5 selects by increasing indices without repeats only.
        unique, position = np.unique(rows, return_inverse=True)
        if not unique.size:
            return np.zeros((0, *self.shape[1:]), dtype=np.float32)
        return self._read(unique)[position]

    def read_slice(self, start: int, stop: int) -> NDArray[np.float32]:
        return self._read(slice(start, stop))


class ConcatenatedFeatures(Features):
    """Several parts, in order, as one array of features."""

    def __init__(self, parts: Sequence[Features]) -> None:
        if len({part.shape[1:] for part in parts}) != 1:
            raise InputError(f"part files differ in frames or dimensions: {[part.shape for part in parts]}")
        self._parts = tuple(parts)
        self._starts = np.cumsum([0, *(len(part) for part in parts)])

    @property
    def shape(self) -> tuple[int, int, int]:
        return int(self._starts[-1]), *self._parts[0].shape[1:]

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        out = np.empty((len(rows), *self.shape[1:]), dtype=np.float32)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(owner):
            chosen = owner == number
            out[chosen] = self._parts[number].read(rows[chosen] - self._starts[number])
        return out

    def read_slice(self, start: int, stop: int) -> NDArray[np.float32]:
        pieces = [
            part.read_slice(max(start - first, 0), min(stop - first, len(part)))
            for part, first in zip(self._parts, self._starts, strict=False)
            if start < first + len(part) and stop > first
        ]
        return np.concatenate(pieces) if pieces else np.zeros((0, *self.shape[1:]), dtype=np.float32)


def mean_pool(features: Features) -> NDArray[np.float32]:
    """The mean over the frames of every video, (N, D) float32, read block by block."""
    count, _, dimensions = features.shape
    pooled = np.empty((count, dimensions), dtype=np.float32)
    for start, block in features.blocks():
        pooled[start : start + len(block)] = block.mean(axis=1)
    return pooled
