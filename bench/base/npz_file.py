"""`.npz` files as this package writes them, read without parsing each header as Python, as numpy does."""

import io
import math
import zipfile
import zlib
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER = 10
"""Bytes of a stored array before its header: magic number, version, the header's length."""
UNREADABLE = (OSError, EOFError, TypeError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""Errors from reading a file that this package did not write, or that is damaged."""


def read_arrays(path: Path, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays in a file by name, read-only; only those in `names`, if given.

    Raises one of `UNREADABLE`. Objects are never unpickled, and no more is unpacked than a header says.
    """
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        return {name: _array(archive, entry) for name, entry in members.items() if names is None or name in names}


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(entry) as member:
        start = member.read(HEADER)
        header = start + member.read(int.from_bytes(start[HEADER - 2 :], "little"))
        shape, kind = _shape_and_kind(header)
        if entry.file_size != len(header) + math.prod(shape) * kind.itemsize:
            raise ValueError(f"{entry.filename} is not as long as its header says")
        return np.frombuffer(member.read(), kind).reshape(shape)


@cache  # numpy parses every header as Python, which would take longer than the values; they hardly differ
def _shape_and_kind(header: bytes) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    stream = io.BytesIO(header)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("not as this package writes arrays")
    shape, fortran, kind = np.lib.format.read_array_header_1_0(stream)
    # One axis is in both orders at once.
    if (fortran and len(shape) > 1) or kind.kind not in "biuf":
        raise ValueError("not as this package writes arrays")
    return shape, kind
