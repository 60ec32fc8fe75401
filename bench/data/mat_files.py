"""Labels out of MATLAB files older than version 7.3, whose reader trusts them; so they are looked through before."""

import struct
import warnings
import zlib
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bench.data.files import one_line
from bench.errors import InputError
from bench.input_files import unusable

NUMBERS = {
    *("double", "single", "logical", "sparse"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}
FIRST_ELEMENT = 128
COMPRESSED = 15
PIECE_BYTES = 2**20
NAMES_SHOWN = 10


def read_mat(path: Path, key: str, require_plausible: Callable[[tuple[int, ...]], None]) -> NDArray[Any]:
    """Array `key` of a MATLAB file; `require_plausible` sees its shape before anything is read.

    Raises InputError if there is no such array, it is no matrix of numbers, or the file is damaged.
    """
    try:
        return _read(path, key, require_plausible)
    except InputError:
        raise
    except Exception as error:  # the reader raises anything from bytes that are no MATLAB file
        reason = f"not a readable MATLAB file ({one_line(error)}); export it again"
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
    # Of several arrays with one name the first is the one that is read.
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
    """InputError, with `source` in it, if labels of this MATLAB class are no numbers."""
    if kind not in NUMBERS:
        raise InputError(
            f"{source} is a MATLAB {kind}; store numbers: for class names [~, ~, labels] = unique(labels), for a cell "
            "of numbers cell2mat(labels), for categories double(labels)"
        )


def dense(array: Any) -> NDArray[Any]:
    """A sparse matrix of SciPy as an array. Raises ValueError for places outside its shape, which SciPy trusts."""
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
