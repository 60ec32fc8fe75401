"""Feature files of every kind that is read, by the suffix of their name."""

from collections.abc import Sequence
from pathlib import Path

from bench.data.features import Features, concatenated
from bench.data.hdf5 import hdf5_axes, open_hdf5_features
from bench.data.headers import NAME_IT, Rows, open_npy, open_safetensors, safetensors_axes
from bench.data.layout import SplitPaths
from bench.errors import InputError
from bench.input_files import require_file

FEATS = "feats"
"""How the array is called in published files."""
# Of MATLAB files older than version 7.3, which are no HDF5.
OLD_MATLAB = b"MATLAB 5.0"
NAMED = 10


def open_features(path: Path, key: str = FEATS, rows: Rows | None = "videos", mend: str = NAME_IT) -> Features:
    """The features (N, T, D) in a file, left on disk: `.npy`, `.safetensors`, and HDF5 under any other name.

    `key` names the array inside, or an HDF5 group of arrays, one video each; a `.npy` file holds one array without a
    name. Contiguous arrays (all `.npy` and `.safetensors`, HDF5 without chunks) are read straight from the file, by any
    number of threads at once. Axes that MATLAB wrote are turned, and two axes are read as `feature_shape` says.
    Raises InputError naming the file, the key and what was expected if there are no such features; `mend` says how to
    name another key.
    """
    require_file(path)
    if path.suffix == ".npy":
        return open_npy(path, rows)
    if path.suffix == ".safetensors":
        return open_safetensors(path, key.strip("/"), rows, mend)
    with path.open("rb") as file:
        if file.read(len(OLD_MATLAB)) == OLD_MATLAB:
            raise InputError(f"{path}: is a MATLAB file older than version 7.3; save features with -v7.3, or as .npy")
    return open_hdf5_features(path, key, rows, mend)


def only_key(path: Path) -> str:
    """The name of the only array that can be features; `feats` if there is one of that name, or no single one."""
    if path.suffix == ".npy":
        return FEATS
    axes = safetensors_axes(path) if path.suffix == ".safetensors" else hdf5_axes(path)
    # Pooled features have two axes, as much else has.
    fitting = next(filter(None, ([name for name, found in axes.items() if found == count] for count in (3, 2))), [])
    return fitting[0] if FEATS not in axes and len(fitting) == 1 else FEATS


def open_parts(paths: SplitPaths) -> list[Features]:
    """The features in each file of a split. Raises InputError as `open_features` does."""
    return [open_features(path, paths.features_key, paths.rows) for path in paths.features]


def joined(paths: SplitPaths, parts: Sequence[Features]) -> Features:
    """The features of a split, from those in each of its files. Raises InputError as `concatenated` does."""
    return concatenated(parts, [f"{path}: '{paths.features_key}'" for path in paths.features])


def names_of(paths: Sequence[Path]) -> str:
    """Some files in words; they can be thousands."""
    if len(paths) > NAMED:
        return f"{paths[0]}, … {paths[-1]} ({len(paths):,} files)"
    return ", ".join(map(str, paths))
