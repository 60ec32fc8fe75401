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

LOCAL_HEADER = 30
"""Bytes before the name of a member of a zip archive."""
HEADER = 10
"""Bytes of a stored array before its header: magic number, version, the header's length."""
LONGEST_HEADER = HEADER + 0xFFFF
UNREADABLE = (OSError, EOFError, TypeError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""Errors from reading a file that this package did not write, or that is damaged."""


def read_arrays(path: Path, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays in a file by name, read-only; only those in `names`, if given.

    Raises one of `UNREADABLE`. Objects are never unpickled, and no more is unpacked than a header says.
    """
    content = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    return {name: _array(content, entry) for name, entry in members.items() if names is None or name in names}


def _array(content: bytes, entry: zipfile.ZipInfo) -> NDArray[Any]:
    # `ZipFile.open` would take longer than all else: records of a sweep hold tens of thousands of short arrays.
    at = entry.header_offset
    lengths = (int.from_bytes(content[at + place : at + place + 2], "little") for place in (26, 28))
    begin = at + LOCAL_HEADER + sum(lengths)
    start, rest = content[begin : begin + entry.compress_size], b""
    unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        start = unpacking.decompress(start, LONGEST_HEADER)
    elif entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{entry.filename} is compressed in another way than this package does")
    header = start[: HEADER + int.from_bytes(start[HEADER - 2 : HEADER], "little")]
    shape, kind = _shape_and_kind(header)
    if entry.file_size != len(header) + math.prod(shape) * kind.itemsize:
        raise ValueError(f"{entry.filename} is not as long as its header says")
    if unpacking.unconsumed_tail:
        rest = unpacking.decompress(unpacking.unconsumed_tail, entry.file_size)
    whole = start + rest
    if len(whole) != entry.file_size or zlib.crc32(whole) != entry.CRC:
        raise zipfile.BadZipFile(f"{entry.filename} differs from its checksum")
    return np.frombuffer(whole, kind, offset=len(header)).reshape(shape)


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
