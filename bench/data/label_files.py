"""Labels from `.mat`, HDF5 and `.npy` files; implausible sizes are refused before anything large is read."""

import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.base.files import require_file, unusable
from bench.base.labels import Labels, as_labels
from bench.base.text import message_of
from bench.data.hdf5 import DAMAGE, hdf5_dataset, hdf5_entry, is_hdf5, matlab_class, open_hdf5
from bench.data.headers import MATLAB_AXES, npy_header
from bench.data.layout import SplitPaths

# No compression of these formats shrinks zeros more than about a thousand times.
MOST_LABELS_A_BYTE = 1100
NAME_IT = "rename one, or name the right one in dataset.toml (labels_key)"
# Twice as many as YFCC has, and half a gigabyte where they are stored as float64.
MOST_LABELS = 2**26
NUMBERS = {
    *("double", "single", "logical", "sparse"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}
FIRST_ELEMENT = 128
COMPRESSED = 15
PIECE_BYTES = 2**20
NAMES_SHOWN = 10


def labels_in(path: Path, key: str, features: tuple[int, ...] | None) -> Labels:
    """The labels in a file, of features (N, T, D) if these are known; transposed where only that fits.

    Raises InputError as `read_labels` and `as_labels` do.
    """
    name = f"{path}: the labels" if path.suffix == ".npy" else f"{path}: the labels in '{key}'"
    array = read_labels(path, key)
    if features and features[0] not in array.shape and features[2] == max(array.shape, default=0):
        raise InputError(
            f"{name} have shape {array.shape} for features {features}, whose axes seem to be {MATLAB_AXES}"
        )
    return as_labels(array, features[0] if features else None, name)


def features_of_labels(paths: SplitPaths, parts: Sequence[tuple[int, ...]]) -> list[tuple[int, ...] | None]:
    """The shape of the features for each file of labels, from the shapes in each file of features."""
    if len(paths.labels) == 1:
        return [(sum(part[0] for part in parts), *parts[0][1:])]
    # Labels may be cut into parts where features are not.
    return list(parts) if len(paths.labels) == len(parts) else [None] * len(paths.labels)


def read_labels(path: Path, key: str = "labels") -> NDArray[Any]:
    """The array of labels in a file: `.npy`, or array `key` of a MATLAB or HDF5 file under any other name.

    MATLAB files may be of version 7.3 (HDF5) or older, dense or sparse; axes are as MATLAB shows them. Raises
    InputError if there is no such array, it cannot be labels, or its shape is too large for the file or for labels.
    """
    require_file(path)
    if path.suffix == ".npy":
        shape, _, dtype, _ = npy_header(path)
        _require_numbers(path, dtype)
        _require_possible(path, shape)
        return np.asarray(np.load(path, allow_pickle=False))
    key = key.strip("/")
    return _read_hdf5(path, key) if is_hdf5(path) else read_mat(path, key, partial(_require_plausible, path, key))


def _read_hdf5(path: Path, key: str) -> NDArray[Any]:
    with open_hdf5(path) as file:
        try:
            found = hdf5_entry(file, path, key, NAME_IT)
            if "MATLAB_sparse" in found.attrs:
                return _sparse(file, path, key, np.asarray(found.attrs["MATLAB_sparse"]))
            array, kind = hdf5_dataset(file, path, key, NAME_IT), matlab_class(found)
            if kind is not None:
                require_matlab_numbers(kind, f"{path}: '{key}'")
            _require_numbers(path, array.dtype)
            _require_plausible(path, key, array.shape or ())
            return np.asarray(array) if kind is None else np.asarray(array).T
        except DAMAGE as error:
            raise unusable(path, error, f"'{key}' cannot be read ({message_of(error)}); export it again") from error


def _sparse(file: Any, path: Path, key: str, rows: NDArray[Any]) -> NDArray[Any]:
    """A sparse matrix of MATLAB 7.3: values `data` in the rows `ir`, those of column c from place `jc[c]` on."""
    if rows.size != 1 or rows.dtype.kind not in "iu":
        raise InputError(f"{path}: '{key}' is a damaged sparse matrix of {rows} rows; export it again")
    from scipy.sparse import csc_matrix  # noqa: PLC0415  slow to import, and only labels need it

    arrays = []
    for name, kinds, dtype in (("data", "biuf", np.float64), ("ir", "iu", np.int64), ("jc", "iu", np.int64)):
        # A matrix without values has neither `data` nor `ir`.
        part = hdf5_dataset(file, path, f"{key}/{name}", NAME_IT) if name in file[key] else np.zeros(0, dtype)
        if part.dtype.kind not in kinds or len(part.shape or ()) != 1:
            raise InputError(f"{path}: '{key}/{name}' is damaged ({part.dtype} of shape {part.shape}); export it again")
        _require_plausible(path, f"{key}/{name}", part.shape)
        arrays.append(np.asarray(part, dtype=dtype))
    shape = int(rows.item()), len(arrays[2]) - 1
    _require_plausible(path, key, shape)
    try:
        return dense(csc_matrix(tuple(arrays), shape=shape))
    except ValueError as error:
        what = f"'{key}' is a damaged sparse matrix ({message_of(error)})"
        raise InputError(f"{path}: {what}; export it again") from error


def _require_numbers(path: Path, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biufSU":
        raise InputError(
            f"{path}: labels of type {dtype}; store numbers, for class names "
            "numpy.unique(labels, return_inverse=True)[1]"
        )


def _require_plausible(path: Path, key: str, shape: tuple[int, ...]) -> None:
    size = path.stat().st_size
    if min(shape, default=0) < 0 or prod(shape) > MOST_LABELS_A_BYTE * size:
        raise InputError(f"{path}: '{key}' has shape {shape} in a file of {size} bytes: damaged; export it again")
    _require_possible(path, shape)


def _require_possible(path: Path, shape: tuple[int, ...]) -> None:
    if prod(shape) > MOST_LABELS:
        raise InputError(f"{path}: labels of shape {shape}; {MOST_LABELS:,} are read at most: split the file in parts")


def read_mat(path: Path, key: str, require_plausible: Callable[[tuple[int, ...]], None]) -> NDArray[Any]:
    """Array `key` of a MATLAB file; `require_plausible` sees its shape before anything is read.

    Raises InputError if there is no such array, it is no matrix of numbers, or the file is damaged.
    """
    try:
        return _read(path, key, require_plausible)
    except InputError:
        raise
    except Exception as error:  # the reader raises anything from bytes that are not a MATLAB file
        reason = f"not a readable MATLAB file ({message_of(error)}); export it again"
        raise unusable(path, error, reason) from error


def _read(path: Path, key: str, require_plausible: Callable[[tuple[int, ...]], None]) -> NDArray[Any]:
    from scipy.io import loadmat, whosmat  # noqa: PLC0415  slow to import, and only labels need it

    found = whosmat(path)
    names = [name for name, _, _ in found]
    if key not in names:
        more = ", …" if len(names) > NAMES_SHOWN else ""
        raise InputError(
            f"{path}: no array '{key}'; it holds {', '.join(names[:NAMES_SHOWN]) or 'nothing'}{more}; name the "
            "right one in dataset.toml (labels_key)"
        )
    # Of several arrays with one name the reader takes the first.
    number = names.index(key)
    _, shape, kind = found[number]
    # The reader follows cells and structures into each other until its stack ends.
    require_matlab_numbers(kind, f"{path}: '{key}'")
    require_plausible(shape)
    _require_honest(path, key, number, shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = loadmat(path, variable_names=[key])[key]
    return dense(array) if hasattr(array, "toarray") else np.asarray(array)


def require_matlab_numbers(kind: str, source: str) -> None:
    """InputError, with `source` in it, if labels of this MATLAB class are not numbers."""
    if kind not in NUMBERS:
        raise InputError(
            f"{source} is a MATLAB {kind}; store numbers: for class names [~, ~, labels] = unique(labels), for a cell "
            "of numbers cell2mat(labels), for categories double(labels)"
        )


def dense(array: Any) -> NDArray[Any]:
    """A sparse matrix of SciPy as an array. Raises ValueError for indices outside its shape, unchecked by SciPy."""
    array.check_format(full_check=True)
    return np.asarray(array.toarray())


def _require_honest(path: Path, key: str, number: int, shape: tuple[int, ...]) -> None:
    """InputError if compressed values, which the reader inflates whole, are more than the shape can hold."""
    most = 16 * prod(shape) + 8 * sum(shape) + 2**16
    with path.open("rb") as file:
        header = file.read(FIRST_ELEMENT)
        order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
        if order is None or 0 in header[:4]:  # version 4 compresses nothing
            return
        for _ in range(number):
            _, size = struct.unpack(f"{order}II", file.read(8))
            file.seek(size, 1)
        kind, size = struct.unpack(f"{order}II", file.read(8))
        if kind == COMPRESSED and _inflates_beyond(file, size, most):
            raise InputError(f"{path}: '{key}' of shape {shape} holds more than {most} bytes: damaged; export it again")


def _inflates_beyond(file: BinaryIO, size: int, most: int) -> bool:
    stream, inflated = zlib.decompressobj(), 0
    while not stream.eof and inflated <= most:
        piece = stream.unconsumed_tail
        if not piece:
            piece = file.read(min(size, PIECE_BYTES))
            size -= len(piece)
        if not piece:
            break
        inflated += len(stream.decompress(piece, PIECE_BYTES))
    return inflated > most
