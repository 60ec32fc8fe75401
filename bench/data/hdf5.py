"""HDF5 files: opened with care, and features read out of their chunks."""

from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench.data.features import Features
from bench.data.files import one_line, require_file
from bench.data.headers import FLOATS, feature_shape
from bench.data.precision import Precision
from bench.data.raw import RawFeatures
from bench.data.space import gigabytes
from bench.errors import InputError

# Little-endian, as they lie in the file: a plain copy of the bytes gives the array.
RAW_TYPES = (h5py.h5t.IEEE_F16LE, h5py.h5t.IEEE_F32LE, h5py.h5t.IEEE_F64LE)
# A chunk that two reads share, one after the other, is decompressed once if it fits.
CHUNK_CACHE_BYTES = 64 * 2**20
LARGEST_CHUNK_BYTES = 256 * 2**20
NAMES_SHOWN = 10
# What h5py raises from files whose structure is damaged.
DAMAGE = (OSError, RuntimeError, KeyError, TypeError, OverflowError)


def is_hdf5(path: Path) -> bool:
    """Whether the file is HDF5, whatever its name is."""
    return bool(h5py.is_hdf5(path))


def open_hdf5(path: Path) -> Any:
    """The file opened for reading; InputError if it is missing, empty, truncated or not HDF5."""
    require_file(path)
    try:
        return h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE_BYTES)
    except OSError as error:
        reason = "truncated" if is_hdf5(path) else "not an HDF5 file"
        raise InputError(f"{path}: {reason} ({one_line(error)}); download or export it again") from error


def hdf5_dataset(file: Any, path: Path, key: str, setting: str) -> Any:
    """Dataset `key` of an open file; InputError if there is none, or its values lie in other files.

    `setting` is what names another key in `dataset.toml`.
    """
    try:
        return _dataset(file, path, key, setting)
    except DAMAGE as error:
        raise InputError(
            f"{path}: '{key}' cannot be opened ({one_line(error)}); download or export it again"
        ) from error


def _dataset(file: Any, path: Path, key: str, setting: str) -> Any:
    parts = key.split("/")
    for length in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:length]) or "/", getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise InputError(f"{path}: '{key}' is a link into {link.filename}; name that file instead")
    if key not in file:
        names = list(islice(file, NAMES_SHOWN + 1))
        more = ", …" if len(names) > NAMES_SHOWN else ""
        raise InputError(
            f"{path}: no dataset '{key}'; it holds {', '.join(names[:NAMES_SHOWN]) or 'nothing'}{more}; rename "
            f"one, or name the right one in dataset.toml ({setting})"
        )
    array = file[key]
    if not isinstance(array, h5py.Dataset):
        raise InputError(f"{path}: '{key}' is a group; expected a dataset")
    # A virtual dataset of this very file can still be of any size, made of a few values.
    if array.is_virtual or array.external or array.file.filename != file.filename:
        raise InputError(f"{path}: the values of '{key}' lie in another file, or dataset; copy them into this one")
    chunk = prod(array.chunks or ()) * array.dtype.itemsize
    if chunk > LARGEST_CHUNK_BYTES:
        raise InputError(
            f"{path}: '{key}' has chunks of {gigabytes(chunk)}, each of which is read whole; write it in chunks of a "
            "few videos"
        )
    return array


def open_hdf5_features(path: Path, key: str) -> Features:
    """The features in dataset `key`; InputError if they are no floats (N, T, D), or were never written whole."""
    array, source = hdf5_dataset(open_hdf5(path), path, key, "features_key"), f"{path}: '{key}'"
    try:
        return _features(array, path, key, source)
    except DAMAGE as error:
        raise InputError(f"{source} cannot be read ({one_line(error)}); download or export it again") from error


def _features(array: Any, path: Path, key: str, source: str) -> Features:
    shape = feature_shape(array.shape or (), source)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (2, 4, 8):
        raise InputError(f"{source} holds {array.dtype}; {FLOATS}")
    _require_written(array, source)
    precision: Precision = array.dtype.name
    offset = array.id.get_offset()
    if offset is not None and array.id.get_type() in RAW_TYPES and not array.external:
        return RawFeatures(path, offset, precision, shape)
    return Hdf5Features(array, path, key)


class Hdf5Features(Features):
    """Features in a dataset that only HDF5 can read: in chunks, compressed, or not little-endian.

    h5py lets one thread in at a time, so that several may call.
    """

    def __init__(self, array: Any, path: Path, key: str) -> None:
        self._array, self._source = array, f"{path}: '{key}'"
        self._videos_a_chunk = array.chunks[0] if array.chunks else 1

    @property
    def shape(self) -> tuple[int, int, int]:
        count, frames, dimensions = self._array.shape
        return count, frames, dimensions

    @property
    def dtype(self) -> Precision:
        return self._array.dtype.name

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
            return np.asarray(self._array[start:stop], dtype=np.float32)
        except DAMAGE as error:
            raise InputError(f"{self._source} cannot be read ({one_line(error)}); download it again") from error


def _require_written(array: Any, source: str) -> None:
    """Refuse what was declared and never written: it would read as zeros, without end if the shape is a lie."""
    whole = array.id.get_storage_size() > 0
    if array.chunks:
        chunks = prod(-(-size // chunk) for size, chunk in zip(array.shape, array.chunks, strict=True))
        whole = array.id.get_num_chunks() == chunks
    if not whole:
        raise InputError(f"{source}: was not written whole for its shape {array.shape}; write or download it again")
