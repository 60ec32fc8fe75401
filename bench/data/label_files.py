"""Labels out of `.mat`, HDF5 and `.npy` files, refused before anything large is read if they cannot be true."""

from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.files import one_line
from bench.data.hdf5 import DAMAGE, hdf5_dataset, hdf5_entry, is_hdf5, matlab_class, open_hdf5
from bench.data.headers import npy_header
from bench.data.mat_files import dense, read_mat, require_matlab_numbers
from bench.errors import InputError
from bench.input_files import require_file, unusable
from bench.labels import Labels, as_labels

# No compression that these files know makes zeros more than about a thousand times smaller.
MOST_LABELS_A_BYTE = 1100
NAME_IT = "rename one, or name the right one in dataset.toml (labels_key)"
# Twice as many as YFCC has, and half a gigabyte where they are stored as float64.
MOST_LABELS = 2**26


def labels_in(path: Path, key: str, videos: int | None) -> Labels:
    """The labels in a file, of so many videos if that is known; turned where only that fits.

    Raises InputError as `read_labels` and `as_labels` do.
    """
    name = f"{path}: the labels" if path.suffix == ".npy" else f"{path}: the labels in '{key}'"
    return as_labels(read_labels(path, key), videos, name)


def read_labels(path: Path, key: str = "labels") -> NDArray[Any]:
    """The array of labels in a file: `.npy`, or array `key` of a MATLAB or HDF5 file under any other name.

    MATLAB files may be of version 7.3 (HDF5) or older, dense or sparse; axes are as MATLAB shows them. Raises
    InputError if there is no such array, it is none of labels, or its shape is larger than the file or labels can be.
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
            raise unusable(path, error, f"'{key}' cannot be read ({one_line(error)}); export it again") from error


def _sparse(file: Any, path: Path, key: str, rows: NDArray[Any]) -> NDArray[Any]:
    """A sparse matrix of MATLAB 7.3: values `data` in the rows `ir`, those of column c from place `jc[c]` on."""
    if rows.size != 1 or rows.dtype.kind not in "iu":
        raise InputError(f"{path}: '{key}' is a damaged sparse matrix of {rows} rows; export it again")
    from scipy.sparse import csc_matrix  # noqa: PLC0415  slow to import, and only labels need it

    arrays = []
    for name, kinds in (("data", "biuf"), ("ir", "iu"), ("jc", "iu")):
        # Without any value there are neither values nor rows.
        part = hdf5_dataset(file, path, f"{key}/{name}", NAME_IT) if name in file[key] else np.zeros(0, np.int64)
        if part.dtype.kind not in kinds or len(part.shape or ()) != 1:
            raise InputError(f"{path}: '{key}/{name}' is damaged ({part.dtype} of shape {part.shape}); export it again")
        _require_plausible(path, f"{key}/{name}", part.shape)
        arrays.append(np.asarray(part) if name == "data" else np.asarray(part, dtype=np.int64))
    shape = int(rows.item()), len(arrays[2]) - 1
    _require_plausible(path, key, shape)
    try:
        return dense(csc_matrix(tuple(arrays), shape=shape))
    except ValueError as error:
        raise InputError(f"{path}: '{key}' is a damaged sparse matrix ({one_line(error)}); export it again") from error


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
