"""Arrays of labels out of `.mat` and `.npy` files, refused before anything large is read if they cannot be true."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.files import one_line, require_file
from bench.data.hdf5 import hdf5_dataset, is_hdf5, open_hdf5
from bench.data.headers import npy_header
from bench.errors import InputError

# No compression that these files know makes zeros more than about a thousand times smaller.
MOST_LABELS_A_BYTE = 1100


def read_labels(path: Path, key: str = "labels") -> NDArray[Any]:
    """The array of labels in a file, as it is stored: `.npy`, or array `key` of a MATLAB file under any other name.

    MATLAB files may be of version 7.3 (HDF5, stored transposed) or older, dense or sparse. Raises InputError if there
    is no such array, or its shape is larger than the file can hold.
    """
    require_file(path)
    if path.suffix == ".npy":
        npy_header(path)
        return np.asarray(np.load(path, allow_pickle=False))
    return _read_hdf5(path, key) if is_hdf5(path) else _read_mat(path, key)


def _read_hdf5(path: Path, key: str) -> NDArray[Any]:
    with open_hdf5(path) as file:
        array = hdf5_dataset(file, path, key)
        _require_plausible(path, key, array.shape or ())
        try:
            return np.asarray(array).T
        except OSError as error:
            raise InputError(f"{path}: '{key}' cannot be read ({one_line(error)}); export it again") from error


def _read_mat(path: Path, key: str) -> NDArray[Any]:
    from scipy.io import loadmat, whosmat  # noqa: PLC0415  slow to import, and only labels need it

    try:
        shapes = {name: shape for name, shape, _ in whosmat(path)}
        _require_plausible(path, key, shapes.get(key, ()))
        content = loadmat(path, variable_names=[key])
    except InputError:
        raise
    except Exception as error:  # the reader raises anything from bytes that are no MATLAB file
        raise InputError(f"{path}: not a readable MATLAB file ({one_line(error)}); export it again") from error
    if key not in content:
        raise InputError(
            f"{path}: no array '{key}'; it holds {', '.join(shapes) or 'nothing'}; name the right one in dataset.toml "
            "(labels_key)"
        )
    array = content[key]
    # MATLAB keeps sparse label matrices as such.
    return np.asarray(array.toarray() if hasattr(array, "toarray") else array)


def _require_plausible(path: Path, key: str, shape: tuple[int, ...]) -> None:
    size = path.stat().st_size
    if prod(shape) > MOST_LABELS_A_BYTE * size:
        raise InputError(f"{path}: '{key}' has shape {shape} in a file of {size} bytes: damaged; export it again")
