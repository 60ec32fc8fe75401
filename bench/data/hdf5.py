"""HDF5 files: opened with care, and features read out of their chunks."""

import os
from contextlib import suppress
from functools import partial
from importlib import import_module
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench.data.features import Features
from bench.data.files import one_line
from bench.data.headers import FLOATS, feature_shape
from bench.data.open_files import Kept, Version
from bench.data.precision import Precision
from bench.data.raw import RawFeatures
from bench.data.space import gigabytes
from bench.errors import InputError
from bench.input_files import require_file, unreadable, unusable

# Little-endian, as they lie in the file: a plain copy of the bytes gives the array.
RAW_TYPES = (h5py.h5t.IEEE_F16LE, h5py.h5t.IEEE_F32LE, h5py.h5t.IEEE_F64LE)
# A chunk that two reads share, one after the other, is decompressed once if it fits.
CHUNK_CACHE_BYTES = 64 * 2**20
LARGEST_CHUNK_BYTES = 256 * 2**20
NAMES_SHOWN, NAMES_VISITED = 10, 1000
# What is wrong and what to do, by what HDF5 says where the system says nothing.
HDF5_SAYS = {
    "already open for write": (
        "is marked as open for writing by another program",
        "wait until it is closed; if that program was killed, run `h5clear -s` on the file",
    ),
    "truncated file": (
        "truncated, or still being written",
        "wait for its writer to end, or download or export it again",
    ),
    "superblock version": (
        f"of a newer HDF5 than {h5py.version.hdf5_version}, or damaged",
        "upgrade h5py, or download or export it again",
    ),
}
# What the package hdf5plugin brings, by the numbers that the HDF Group registered.
FILTERS = {
    307: "bzip2",
    32001: "Blosc",
    32004: "LZ4",
    32008: "Bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32026: "Blosc2",
}
# What h5py raises from files whose structure is damaged.
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
    said = one_line(error)
    damage = ("damaged" if is_hdf5(path) else "not an HDF5 file"), "download or export it again"
    what, mend = next((reason for words, reason in HDF5_SAYS.items() if words in said), damage)
    return unusable(path, error, f"{what} ({said}); {mend}")


def _damaged(path: Path, key: str, error: Exception) -> InputError:
    """What to raise where HDF5 cannot read a dataset in a file that it could open."""
    return unusable(path, error, f"'{key}' cannot be read: damaged ({one_line(error)}); download or export it again")


def hdf5_axes(path: Path) -> dict[str, int]:
    """How many axes every dataset of a file has, by its whole name; of the first 1,000 names in it."""
    axes: dict[str, int] = {}
    left = iter(range(NAMES_VISITED))

    def visit(name: str, found: Any) -> bool | None:
        if isinstance(found, h5py.Dataset):
            axes[name] = found.ndim
        return None if next(left, None) is not None else True

    with open_hdf5(path) as file, suppress(*DAMAGE):
        file.visititems(visit)
    return axes


def hdf5_dataset(file: Any, path: Path, key: str, mend: str) -> Any:
    """Dataset `key` of an open file; InputError if there is none, or its values lie in other files.

    `mend` says how to name another key.
    """
    try:
        return _dataset(file, path, key, mend)
    except DAMAGE as error:
        raise _damaged(path, key, error) from error


def _dataset(file: Any, path: Path, key: str, mend: str) -> Any:
    parts = key.split("/")
    for length in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:length]) or "/", getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise InputError(f"{path}: '{key}' is a link into {link.filename}; name that file instead")
    if key not in file:
        names = list(islice(file, NAMES_SHOWN + 1))
        more = ", …" if len(names) > NAMES_SHOWN else ""
        raise InputError(
            f"{path}: no dataset '{key}'; it holds {', '.join(names[:NAMES_SHOWN]) or 'nothing'}{more}; {mend}"
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
    _require_filters(array, f"{path}: '{key}'")
    return array


def _require_filters(array: Any, source: str) -> None:
    """InputError if the array was packed by something that this HDF5 lacks, and no installed hdf5plugin brings."""
    plan = array.id.get_create_plist()
    for number in range(plan.get_nfilters()):
        code, _, _, name = plan.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            with suppress(ImportError):
                import_module("hdf5plugin")
        if not h5py.h5z.filter_avail(code):
            named = FILTERS.get(code) or one_line(name.decode(errors="replace")) or "of unknown name"
            mend = "pip install hdf5plugin, or write it with gzip" if code in FILTERS else "write it with gzip"
            raise InputError(f"{source} is compressed by filter {code} ({named}), which is not installed; {mend}")


def open_hdf5_features(path: Path, key: str, mend: str) -> Features:
    """The features in dataset `key`; InputError if they are no floats (N, T, D), or were never written whole."""
    version, source = Version.of(require_file(path)), f"{path}: '{key}'"
    with open_hdf5(path) as file:
        array = hdf5_dataset(file, path, key, mend)
        try:
            return _features(array, version, key, source)
        except DAMAGE as error:
            raise _damaged(path, key, error) from error


def _features(array: Any, version: Version, key: str, source: str) -> Features:
    shape = feature_shape(array.shape or (), source)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (2, 4, 8):
        raise InputError(f"{source} holds {array.dtype}; {FLOATS}")
    _require_written(array, source)
    precision: Precision = array.dtype.name
    offset = array.id.get_offset()
    if offset is not None and array.id.get_type() in RAW_TYPES:
        return RawFeatures(version.path, offset, precision, shape)
    return Hdf5Features(version, key, precision, shape, array.chunks[0] if array.chunks else 1)


class Hdf5Features(Features):
    """Features in a dataset that only HDF5 can read: in chunks, compressed, or not little-endian.

    h5py lets one thread in at a time, so that several may call.
    """

    def __init__(
        self, version: Version, key: str, dtype: Precision, shape: tuple[int, int, int], videos_a_chunk: int
    ) -> None:
        self._version, self._key = version, key
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
                    return np.asarray(array[start:stop], dtype=np.float32)
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
    """Refuse what was declared and never written: it would read as zeros, without end if the shape is a lie."""
    whole = array.id.get_storage_size() > 0
    if array.chunks:
        chunks = prod(-(-size // chunk) for size, chunk in zip(array.shape, array.chunks, strict=True))
        whole = array.id.get_num_chunks() == chunks
    if not whole:
        raise InputError(f"{source}: was not written whole for its shape {array.shape}; write or download it again")
