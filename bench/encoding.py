"""Codes for anybody's features, from file to file."""

import os
from pathlib import Path

import numpy as np

from bench.data.features import ArrayFeatures, Features, Hdf5Features
from bench.data.files import require_file
from bench.encoder import load_encoder
from bench.errors import InputError
from bench.registry import Registry


def encode_file(encoder: Path, features: Path, out: Path, registry: Registry) -> tuple[int, ...]:
    """Encode the features in a file and write the codes to `out` (.npy), whole or not at all; their shape."""
    if out.suffix != ".npy":
        raise InputError(f"--out {out}: codes are written as .npy; name such a file")
    if out.is_dir() or not out.resolve().parent.is_dir():
        raise InputError(f"--out {out}: is a folder or lies in none; name a file in a folder that is there")
    codes = load_encoder(encoder, registry).encode(open_features(features))
    beside = out.with_name(f".{out.name}.{os.getpid()}.npy")
    try:
        np.save(beside, codes)
        beside.replace(out)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror})") from error
    finally:
        beside.unlink(missing_ok=True)
    return codes.shape


def open_features(path: Path) -> Features:
    """The features in a .npy or HDF5 file, left on disk. Raises InputError if there are none."""
    require_file(path)
    if path.suffix != ".npy":
        return Hdf5Features(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable .npy array ({error})") from error
    if array.dtype.kind != "f":
        raise InputError(f"{path}: holds {array.dtype}; expected float16, float32 or float64")
    return ArrayFeatures(array)
