"""Feature files of every kind that is read, by the suffix of their name."""

from pathlib import Path

from bench.data.features import Features
from bench.data.hdf5 import hdf5_axes, open_hdf5_features
from bench.data.headers import open_npy, open_safetensors, safetensors_axes
from bench.input_files import require_file

FEATS = "feats"
"""How the array is called in published files."""


def open_features(
    path: Path, key: str = FEATS, mend: str = "rename one, or name the right one in dataset.toml (features_key)"
) -> Features:
    """The features (N, T, D) in a file, left on disk: `.npy`, `.safetensors`, and HDF5 under any other name.

    `key` names the array inside; a `.npy` file holds one array without a name. Contiguous arrays (all `.npy` and
    `.safetensors`, HDF5 without chunks) are read straight from the file, by any number of threads at once.
    Raises InputError naming the file, the key and what was expected if there are no such features; `mend` says how to
    name another key.
    """
    require_file(path)
    if path.suffix == ".npy":
        return open_npy(path)
    if path.suffix == ".safetensors":
        return open_safetensors(path, key, mend)
    return open_hdf5_features(path, key, mend)


def only_key(path: Path) -> str:
    """`feats` if the file has an array of that name or no single array that can be features, else that one's name."""
    if path.suffix == ".npy":
        return FEATS
    axes = safetensors_axes(path) if path.suffix == ".safetensors" else hdf5_axes(path)
    fitting = [name for name, count in axes.items() if count == 3]
    return fitting[0] if FEATS not in axes and len(fitting) == 1 else FEATS
