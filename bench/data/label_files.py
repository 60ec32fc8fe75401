"""Arrays of labels out of `.mat` and `.npy` files, refused before anything large is read if they cannot be true."""

from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.files import one_line
from bench.data.hdf5 import DAMAGE, hdf5_dataset, is_hdf5, open_hdf5
from bench.data.headers import npy_header
from bench.data.mat_files import read_mat
from bench.errors import InputError
from bench.input_files import require_file, unusable

# No compression that these files know makes zeros more than about a thousand times smaller.
MOST_LABELS_A_BYTE = 1100
# Twice as many as YFCC has, and half a gigabyte where they are stored as float64.
MOST_LABELS = 2**26


def read_labels(path: Path, key: str = "labels") -> NDArray[Any]:
    """The array of labels in a file, as it is stored: `.npy`, or array `key` of a MATLAB file under any other name.

    MATLAB files may be of version 7.3 (HDF5, stored transposed) or older, dense or sparse. Raises InputError if there
    is no such array, it holds no numbers, or its shape is larger than the file can hold or labels can be.
    """
    require_file(path)
    if path.suffix == ".npy":
        shape, _, dtype, _ = npy_header(path)
        _require_numbers(path, dtype)
        _require_possible(path, shape)
        return np.asarray(np.load(path, allow_pickle=False))
    return _read_hdf5(path, key) if is_hdf5(path) else read_mat(path, key, partial(_require_plausible, path, key))


def _read_hdf5(path: Path, key: str) -> NDArray[Any]:
    with open_hdf5(path) as file:
        array = hdf5_dataset(file, path, key, "name the right one in dataset.toml (labels_key)")
        _require_numbers(path, array.dtype)
        _require_plausible(path, key, array.shape or ())
        try:
            return np.asarray(array).T
        except DAMAGE as error:
            raise unusable(path, error, f"'{key}' cannot be read ({one_line(error)}); export it again") from error


def _require_numbers(path: Path, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biuf":
        raise InputError(f"{path}: labels of type {dtype}; store 0 and 1, one column a class")


def _require_plausible(path: Path, key: str, shape: tuple[int, ...]) -> None:
    size = path.stat().st_size
    if min(shape, default=0) < 0 or prod(shape) > MOST_LABELS_A_BYTE * size:
        raise InputError(f"{path}: '{key}' has shape {shape} in a file of {size} bytes: damaged; export it again")
    _require_possible(path, shape)


def _require_possible(path: Path, shape: tuple[int, ...]) -> None:
    if prod(shape) > MOST_LABELS:
        raise InputError(f"{path}: labels of shape {shape}; {MOST_LABELS:,} are read at most: split the file in parts")
