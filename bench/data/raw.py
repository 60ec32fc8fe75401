"""Features stored as one contiguous array, read straight into memory by several threads."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.base.files import unreadable
from bench.data.features import Features
from bench.data.open_files import Kept, Version
from bench.data.precision import Precision, as_float32, stored_dtype

# The most buffers that one call to the system fills (IOV_MAX of Linux and macOS).
MOST_BUFFERS = 1024


class RawFeatures(Features):
    """A contiguous array (N, T, D) that starts at byte `offset` of a file.

    `stored` is the type of its values where that is not the little-endian `dtype`: integers, big-endian floats.

    Read with `preadv`, not through a memory map: mapped pages count as memory of this process, and a file cut short
    under a map kills the process instead of raising. Raises InputError if the file is too short for the shape, and
    when it is read after it was changed.
    """

    def __init__(
        self,
        path: Path,
        offset: int,
        dtype: Precision,
        shape: tuple[int, int, int],
        stored: np.dtype[Any] | None = None,
    ) -> None:
        self._version, self._offset, self._dtype, self._shape = Version.of(path), offset, dtype, shape
        self._stored = stored_dtype(dtype) if stored is None else stored
        self._file = Kept(self._version.open, os.close)
        expected = offset + shape[0] * self._frame_bytes * shape[1]
        if self._version.size < expected:
            raise InputError(
                f"{path}: truncated or damaged: features {shape} of {self._stored} would end at byte {expected}, the "
                f"file ends at {self._version.size}; download or export it again"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        return self._shape

    @property
    def dtype(self) -> Precision:
        return self._dtype

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        out = np.empty((len(rows), *self._shape[1:]), dtype=np.float32)
        order = np.argsort(rows, kind="stable")
        # One call reads neighbours in the file, each into its own place.
        runs = np.split(order, np.flatnonzero(np.diff(rows[order]) != 1) + 1) if len(rows) else []
        with self._reading() as file:
            for run in runs:
                self._announce(file, int(rows[run[0]]), len(run))
            for run in runs:
                first = int(rows[run[0]])
                if self._stored == stored_dtype("float32"):
                    self._fill(file, [out[place] for place in run], first * self._shape[1])
                else:
                    # Converted while they are still in the cache.
                    out[run] = self._slice(file, first, first + len(run))
        return out

    def read_slice(self, start: int, stop: int) -> NDArray[np.float32]:
        with self._reading() as file:
            return self._slice(file, start, stop)

    def read_frames(self, rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        stored = self._empty(len(rows), self._shape[2])
        with self._reading() as file:
            for place, frame in enumerate(rows * self._shape[1] + numbers):
                self._fill(file, [stored[place]], int(frame))
        return as_float32(stored, self._dtype)

    @contextmanager
    def _reading(self) -> Iterator[int]:
        """A descriptor of the file. Raises InputError if the file was changed before or meanwhile."""
        try:
            with self._file.use() as file:
                yield file
                self._version.require_unchanged(os.fstat(file))
        except OSError as error:
            raise unreadable(self._version.path, error) from error

    def _slice(self, file: int, start: int, stop: int) -> NDArray[np.float32]:
        stored = self._empty(max(0, min(stop, len(self)) - start), *self._shape[1:])
        self._fill(file, [stored], start * self._shape[1])
        return as_float32(stored, self._dtype)

    def _announce(self, file: int, video: int, videos: int) -> None:
        """Ask the system to prefetch these videos while others are copied: twice as fast from disk."""
        # macOS lacks it.
        if hasattr(os, "posix_fadvise"):
            video_bytes = self._frame_bytes * self._shape[1]
            place = self._offset + video * video_bytes
            os.posix_fadvise(file, place, videos * video_bytes, os.POSIX_FADV_WILLNEED)

    @property
    def _frame_bytes(self) -> int:
        return self._shape[2] * self._stored.itemsize

    def _empty(self, *shape: int) -> NDArray[Any]:
        return np.empty(shape, dtype=self._stored)

    def _fill(self, file: int, arrays: Sequence[NDArray[Any]], frame: int) -> None:
        """Fill the arrays, one after the other, with the values from this frame (of all videos) on."""
        views = [array.reshape(-1).view(np.uint8).data for array in arrays if array.size]
        place = self._offset + frame * self._frame_bytes
        while views:
            # One call may read less than requested, due to signals and size limits.
            got = os.preadv(file, views[:MOST_BUFFERS], place)
            if not got:
                raise self._version.replaced()
            place += got
            while views and got >= len(views[0]):
                got -= len(views.pop(0))
            if got:
                views[0] = views[0][got:]
