"""Opening the files that people bring: HDF5 features, MATLAB labels, and their fingerprints."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench.cache import cache_folder
from bench.errors import InputError


def require_file(path: Path) -> Path:
    """The path itself; InputError if there is no readable, non-empty file."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; put it there, or name another one in dataset.toml")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; download or export it again")
    return path


def open_hdf5(path: Path) -> Any:
    """The file opened for reading; InputError if it is missing, empty, truncated or not HDF5."""
    require_file(path)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        reason = "truncated" if h5py.is_hdf5(path) else "not an HDF5 file"
        raise InputError(f"{path}: {reason} ({_one_line(error)}); download or export it again") from error


def read_mat(path: Path, key: str) -> NDArray[Any]:
    """The array `key` of a MATLAB file, version 7.3 (HDF5, stored transposed) or older."""
    require_file(path)
    if h5py.is_hdf5(path):
        with open_hdf5(path) as file:
            if key not in file:
                raise InputError(f"{path}: no array '{key}'; it holds {', '.join(file) or 'nothing'}")
            if not isinstance(file[key], h5py.Dataset):
                raise InputError(f"{path}: '{key}' is no array; name the right one in dataset.toml (labels_key)")
            return np.asarray(file[key]).T
    from scipy.io import loadmat  # noqa: PLC0415  slow to import, and only labels need it

    try:
        content = loadmat(path, variable_names=[key])
    except Exception as error:  # the reader raises anything from bytes that are no MATLAB file
        raise InputError(f"{path}: not a readable MATLAB file ({_one_line(error)}); export it again") from error
    if key not in content:
        raise InputError(f"{path}: no array '{key}'; name the right one in dataset.toml (labels_key)")
    array = content[key]
    # MATLAB keeps sparse label matrices as such.
    return np.asarray(array.toarray() if hasattr(array, "toarray") else array)


def content_hash(paths: list[Path]) -> str:
    """A hash of the files' contents, in order; remembered by path, size and time of change, so it is read once."""
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(_remembered_hash(require_file(path)).encode())
    return digest.hexdigest()


def _remembered_hash(path: Path) -> str:
    state = path.stat()
    key = json.dumps([str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ino])
    note = cache_folder() / "fingerprints" / hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    if note.is_file() and len(known := note.read_text()) == 32:
        return known
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        beside = note.with_name(f"{note.name}.{os.getpid()}")
        beside.write_text(digest)
        beside.replace(note)
    except OSError:
        # Remembering is a convenience: without a writable cache the file is hashed again next time.
        return digest
    return digest


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
