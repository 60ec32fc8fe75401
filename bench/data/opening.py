"""Feature files of every kind that is read, by the suffix of their name."""

from pathlib import Path

from bench.data.features import Features
from bench.data.hdf5 import open_hdf5_features
from bench.data.headers import open_npy, open_safetensors
from bench.input_files import require_file


def open_features(path: Path, key: str = "feats") -> Features:
    """The features (N, T, D) in a file, left on disk: `.npy`, `.safetensors`, and HDF5 under any other name.

    `key` names the array inside; a `.npy` file holds one array without a name. Contiguous arrays (all `.npy` and
    `.safetensors`, HDF5 without chunks) are read straight from the file, by any number of threads at once.
    Raises InputError naming the file, the key and what was expected if there are no such features.
    """
    require_file(path)
    if path.suffix == ".npy":
        return open_npy(path)
    if path.suffix == ".safetensors":
        return open_safetensors(path, key)
    return open_hdf5_features(path, key)
