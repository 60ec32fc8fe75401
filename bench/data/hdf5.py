"""HDF5 files, opened defensively, and features read from their chunks."""

import os
from contextlib import suppress
from functools import partial
from importlib import import_module
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.base.files import gigabytes, require_file, unreadable, unusable
from bench.base.text import message_of, one_line
from bench.data.features import Features, concatenated
from bench.data.headers import NAME_IT, Rows, feature_shape, precision_of, require_numbers
from bench.data.open_files import Kept, Version
from bench.data.precision import Precision
from bench.data.raw import RawFeatures

# Little-endian, as they lie in the file: a plain copy of the bytes gives the array.
RAW_TYPES = (h5py.h5t.IEEE_F16LE, h5py.h5t.IEEE_F32LE, h5py.h5t.IEEE_F64LE)
# A chunk that two reads share, one after the other, is decompressed once if it fits.
CHUNK_CACHE_BYTES = 64 * 2**20
LARGEST_CHUNK_BYTES = 256 * 2**20
NAMES_SHOWN, NAMES_VISITED = 10, 1000
# Defect and fix, by a phrase of HDF5's message, where the system gives no reason.
HDF5_REASONS = {
    "already open for write": (
        "is marked as open for writing by another program",
        "wait until it is closed; if that program was killed, run `h5clear -s` on the file",
    ),
    "truncated file": ("truncated, or still being written", "wait for its writer, or download or export it again"),
    "superblock version": (
        f"of a newer HDF5 than {h5py.version.hdf5_version}, or damaged",
        "upgrade h5py, or download or export it again",
    ),
}
# Filters of the package hdf5plugin, by their registered numbers.
FILTERS = {
    307: "bzip2", 32001: "Blosc", 32004: "LZ4", 32008: "Bitshuffle", 32013: "ZFP", 32015: "Zstandard", 32026: "Blosc2",
}  # fmt: skip
# Exceptions of h5py for files with a damaged structure.
DAMAGE = (OSError, RuntimeError, KeyError, TypeError, OverflowError)


def is_hdf5(path: Path) -> bool:
    """Whether the file is HDF5, whatever its name is. Raises InputError if it cannot be read."""
    try:
        return bool(h5py.is_hdf5(path))
    except OSError as error:
        raise unreadable(path, error) from error


def open_hdf5(path: Path) -> Any:
    """The file opened for reading; InputError if it is missing, empty, in use, damaged or not HDF5."""
    require_file(path)
    try:
        return h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE_BYTES)
    except OSError as error:
        raise _not_opened(path, error) from error


def _not_opened(path: Path, error: OSError) -> InputError:
    message = message_of(error)
    damage = ("damaged" if is_hdf5(path) else "not an HDF5 file"), "download or export it again"
    what, fix = next((reason for phrase, reason in HDF5_REASONS.items() if phrase in message), damage)
    return unusable(path, error, f"{what} ({message}); {fix}")


def _damaged(path: Path, key: str, error: Exception) -> InputError:
    """The error to raise where HDF5 opened a file but cannot read a dataset in it."""
    return unusable(path, error, f"'{key}' cannot be read: damaged ({message_of(error)}); download or export it again")


def hdf5_axes(path: Path) -> dict[str, int]:
    """Number of axes of every dataset among the first 1,000 names of a file, by full name."""
    axes: dict[str, int] = {}
    left = iter(range(NAMES_VISITED))

    def visit(name: str, found: Any) -> bool | None:
        if isinstance(found, h5py.Dataset):
            axes[name] = found.ndim
        return None if next(left, None) is not None else True

    with open_hdf5(path) as file, suppress(*DAMAGE):
        file.visititems(visit)
    return axes


def hdf5_entry(file: Any, path: Path, key: str, fix: str) -> Any:
    """Dataset or group `key` of an open file; InputError if there is none, or its values lie in other files.

    `fix` says how to name another key.
    """
    try:
        return _entry(file, path, key, fix)
    except DAMAGE as error:
        raise _damaged(path, key, error) from error


def _entry(file: Any, path: Path, key: str, fix: str) -> Any:
    # Tools write the name of a dataset as a path, such as /feats.
    parts = [part for part in key.split("/") if part]
    for length in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:length]), getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise InputError(f"{path}: '{key}' is a link into {link.filename}; name that file instead")
    name = "/".join(parts) or "/"
    if name not in file:
        names = list(islice(file, NAMES_SHOWN + 1))
        more = ", …" if len(names) > NAMES_SHOWN else ""
        raise InputError(
            f"{path}: no dataset '{key}'; it holds {', '.join(names[:NAMES_SHOWN]) or 'nothing'}{more}; {fix}"
        )
    found = file[name]
    if isinstance(found, h5py.Dataset):
        _require_plain(found, file, path, key)
    elif not isinstance(found, h5py.Group):
        raise InputError(f"{path}: '{key}' is a type; expected a dataset")
    return found


def _require_plain(array: Any, file: Any, path: Path, key: str) -> None:
    # A virtual dataset of this same file can claim any size with a few values.
    if array.is_virtual or array.external or array.file.filename != file.filename:
        raise InputError(f"{path}: the values of '{key}' are in another file or dataset; copy them into this one")
    chunk = prod(array.chunks or ()) * array.dtype.itemsize
    if chunk > LARGEST_CHUNK_BYTES:
        raise InputError(
            f"{path}: '{key}' has chunks of {gigabytes(chunk)}, each of which is read whole; write it in chunks of a "
            "few videos"
        )
    _require_filters(array, f"{path}: '{key}'")


def hdf5_dataset(file: Any, path: Path, key: str, fix: str) -> Any:
    """`hdf5_entry`; InputError for a group as well."""
    found = hdf5_entry(file, path, key, fix)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{path}: '{key}' is a group; expected a dataset")
    return found


def matlab_class(entry: Any) -> str | None:
    """The type of an array that MATLAB wrote, with its axes reversed; None if another program wrote it."""
    found = entry.attrs.get("MATLAB_class")
    return found.decode(errors="replace") if isinstance(found, bytes) else None if found is None else str(found)


def _require_filters(array: Any, source: str) -> None:
    """InputError if the array needs a filter that neither this HDF5 nor an installed hdf5plugin has."""
    plan = array.id.get_create_plist()
    for number in range(plan.get_nfilters()):
        code, _, _, name = plan.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            with suppress(ImportError):
                import_module("hdf5plugin")
        if not h5py.h5z.filter_avail(code):
            named = FILTERS.get(code) or one_line(name.decode(errors="replace")) or "of unknown name"
            fix = "pip install hdf5plugin, or write it with gzip" if code in FILTERS else "write it with gzip"
            raise InputError(f"{source} is compressed by filter {code} ({named}), which is not installed; {fix}")


def open_hdf5_features(path: Path, key: str, rows: Rows | None = "videos", fix: str = NAME_IT) -> Features:
    """The features in dataset `key`, or in all datasets of group `key`, one video each, in the order of their names.

    Raises InputError if they are not numbers (N, T, D), or were never written whole. `rows` is as in `feature_shape`.
    """
    version = Version.of(require_file(path))
    with open_hdf5(path) as file:
        found = hdf5_entry(file, path, key, f'{fix}; "/" is the name of all, one video each')
        if isinstance(found, h5py.Dataset):
            return _features(found, version, key, rows)
        try:
            keys = [f"{key.rstrip('/')}/{name}" for name in sorted(found)]
        except DAMAGE as error:
            raise _damaged(path, key, error) from error
        if not keys:
            raise InputError(f"{path}: '{key}' is an empty group; expected a dataset, or a group with one a video")
        videos = [_features(hdf5_dataset(file, path, name, fix), version, name, "frames") for name in keys]
    return concatenated(videos, [f"{path}: '{name}'" for name in keys])


def _features(array: Any, version: Version, key: str, rows: Rows | None) -> Features:
    source = f"{version.path}: '{key}'"
    try:
        turned = matlab_class(array) is not None
        stored = array.shape or ()
        shape = feature_shape(stored[::-1] if turned else stored, source, rows)
        require_numbers(array.dtype, source)
        _require_written(array, source)
        offset = array.id.get_offset()
        if offset is not None and array.id.get_type() in RAW_TYPES and not turned:
            return RawFeatures(version.path, offset, precision_of(array.dtype), shape)
    except DAMAGE as error:
        raise _damaged(version.path, key, error) from error
    axes = Axes(turned, one_video=rows == "frames" and len(stored) < 3)
    chunk = array.chunks[-1 if turned else 0] if array.chunks and not axes.one_video else 1
    return Hdf5Features(version, key, precision_of(array.dtype), shape, chunk, axes)


class Axes(NamedTuple):
    """The order of axes of features in an HDF5 dataset."""

    turned: bool
    """Whether MATLAB wrote them: (D, T, N)."""
    one_video: bool
    """Whether there is no axis of videos: (T, D), or (D,)."""

    def read(self, array: Any, start: int, stop: int) -> NDArray[np.float32]:
        """Videos start…stop-1 as they are stored, with axes in our order."""
        chosen: Any = slice(start, stop)
        values = array[()] if self.one_video else array[..., chosen] if self.turned else array[chosen]
        return np.ascontiguousarray(values.T if self.turned else values, dtype=np.float32)


class Hdf5Features(Features):
    """Features in a dataset that only HDF5 can read: in chunks, compressed, by MATLAB, or not little-endian floats.

    Several threads may call; h5py serves one at a time.
    """

    def __init__(
        self,
        version: Version,
        key: str,
        dtype: Precision,
        shape: tuple[int, int, int],
        videos_a_chunk: int,
        axes: Axes,
    ) -> None:
        self._version, self._key, self._axes = version, key, axes
        self._dtype, self._shape, self._videos_a_chunk = dtype, shape, videos_a_chunk
        self._array = Kept(partial(_open_again, version, key), _close)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self._shape

    @property
    def dtype(self) -> Precision:
        return self._dtype

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        out = np.empty((len(rows), *self.shape[1:]), dtype=np.float32)
        order = np.argsort(rows, kind="stable")
        # A chunk is decompressed whole to read a part of it: once for all of its videos.
        chunk = rows[order] // self._videos_a_chunk
        for wanted in np.split(order, np.flatnonzero(np.diff(chunk)) + 1) if len(rows) else []:
            first, last = int(rows[wanted[0]]), int(rows[wanted[-1]])
            out[wanted] = self.read_slice(first, last + 1)[rows[wanted] - first]
        return out

    def read_slice(self, start: int, stop: int) -> NDArray[np.float32]:
        try:
            with self._array.use() as array:
                try:
                    return self._axes.read(array, start, stop).reshape(-1, *self.shape[1:])
                finally:
                    self._version.require_unchanged(os.fstat(array.file.id.get_vfd_handle()))
        except DAMAGE as error:
            raise _damaged(self._version.path, self._key, error) from error


def _open_again(version: Version, key: str) -> Any:
    """The dataset in a file of its own. Raises OSError, and InputError if it is no longer this version of it."""
    file = h5py.File(version.place, "r", rdcc_nbytes=CHUNK_CACHE_BYTES)
    version.require_same(os.fstat(file.id.get_vfd_handle()))
    return file[key]


def _close(array: Any) -> None:
    array.file.close()


def _require_written(array: Any, source: str) -> None:
    """InputError for a dataset that was declared and never written: it would read as zeros of any claimed size."""
    whole = array.id.get_storage_size() > 0
    if array.chunks:
        chunks = prod(-(-size // chunk) for size, chunk in zip(array.shape, array.chunks, strict=True))
        whole = array.id.get_num_chunks() == chunks
    if not whole:
        raise InputError(
            f"{source}: was not written completely for its shape {array.shape}; write or download it again"
        )
