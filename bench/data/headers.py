"""Headers of `.npy` and `.safetensors` files: offset, shape and type of an array, checked before reading."""

import json
from math import prod
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np

from bench.base.errors import InputError
from bench.base.files import unusable
from bench.base.text import message_of
from bench.data.precision import PRECISIONS, Precision, stored_dtype
from bench.data.raw import RawFeatures

NAME_IT = "rename one, or name the right one in dataset.toml (features_key)"
NUMBERS = "expected floats, integers or truth values of at most 64 bits"
SAFETENSORS_PRECISIONS: dict[str, Precision] = {
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
}
SAFETENSORS_INTEGERS = {"BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2"} | {
    f"{name}{size * 8}": f"<{kind}{size}" for name, kind in (("U", "u"), ("I", "i")) for size in (4, 8)
}
Rows = Literal["videos", "frames"]
"""The meaning of the first of two axes: pooled videos (N, D), or the frames of one video (T, D)."""
ITEM_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
# Three hundred times as many as in the papers' features; a video is read as a whole.
MOST_NUMBERS_A_VIDEO = 2**25
# The limit of the format.
LONGEST_SAFETENSORS_HEADER = 100_000_000
LONGEST_NAMES = 200
MATLAB_AXES = (
    "(dimensions, frames, videos), as MATLAB stores them; save numpy.transpose(features), in MATLAB "
    "permute(feats, [3 2 1])"
)
ARCHIVE = b"PK\x03\x04"


def open_npy(path: Path, rows: Rows | None = "videos") -> RawFeatures:
    """The features in a `.npy` file. Raises InputError if it holds anything but numbers (N, T, D), row by row."""
    shape, fortran, dtype, offset = npy_header(path)
    if fortran:
        raise InputError(f"{path}: is stored column by column (Fortran order); save np.ascontiguousarray(array)")
    require_numbers(dtype, str(path))
    return RawFeatures(path, offset, precision_of(dtype), feature_shape(shape, str(path), rows), dtype)


def npy_header(path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether stored column by column, type and first byte of the array in a `.npy` file.

    Raises InputError if it is not a plain array, or the file is shorter than its header says.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            offset = file.tell()
    except Exception as error:  # numpy parses the header as Python, which raises anything from bytes that are none
        with path.open("rb") as file:
            if file.read(len(ARCHIVE)) == ARCHIVE:
                raise InputError(f"{path}: is an archive (.npz); save the array by itself, with numpy.save") from error
        reason = f"not a readable .npy array ({message_of(error)}); download or export it again"
        raise unusable(path, error, reason) from error
    if version != (1, 0):
        # Later versions are for arrays with named fields, and may claim headers of gigabytes.
        raise InputError(f"{path}: is a .npy file of version {version[0]}.{version[1]}; save a plain array of numbers")
    if dtype.hasobject:
        raise InputError(f"{path}: holds Python objects, which are never loaded; save an array of numbers")
    end, there = offset + prod(shape) * dtype.itemsize, path.stat().st_size
    if min(shape, default=0) < 0 or there < end:
        raise InputError(
            f"{path}: truncated or damaged: {dtype} of shape {shape} would end at byte {end}, the file ends at "
            f"{there}; download or export it again"
        )
    return shape, fortran, dtype, offset


def safetensors_axes(path: Path) -> dict[str, int]:
    """Number of axes of every tensor of a `.safetensors` file, by name."""
    header, _ = _safetensors_header(path)
    shapes = {name: entry.get("shape") for name, entry in header.items() if isinstance(entry, dict)}
    return {name: len(shape) for name, shape in shapes.items() if isinstance(shape, list)}


def open_safetensors(path: Path, key: str, rows: Rows | None = "videos", fix: str = NAME_IT) -> RawFeatures:
    """The features in tensor `key` of a `.safetensors` file. Raises InputError if it holds no numbers (N, T, D)."""
    header, start = _safetensors_header(path)
    entry = header.get(key)
    if not isinstance(entry, dict):
        names = ", ".join(name for name in header if name != "__metadata__")[:LONGEST_NAMES]
        raise InputError(f"{path}: no tensor '{key}'; it holds {names or 'nothing'}; {fix}")
    source = f"{path}: '{key}'"
    kind, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(kind, str) or kind not in SAFETENSORS_PRECISIONS | SAFETENSORS_INTEGERS:
        raise InputError(f"{source} holds {kind}; {NUMBERS}")
    if not (_natural_numbers(shape) and _natural_numbers(offsets) and len(offsets) == 2):
        raise InputError(f"{source} has a damaged header (shape {shape}, offsets {offsets}); write the file again")
    precision = SAFETENSORS_PRECISIONS.get(kind, "float32")
    stored = np.dtype(SAFETENSORS_INTEGERS[kind]) if kind in SAFETENSORS_INTEGERS else stored_dtype(precision)
    axes = feature_shape(tuple(shape), source, rows)
    if offsets[1] - offsets[0] != prod(axes) * stored.itemsize:
        raise InputError(
            f"{source} has a damaged header: {kind} of shape {axes} does not take the bytes {offsets[0]} to "
            f"{offsets[1]}; write the file again"
        )
    return RawFeatures(path, start + offsets[0], precision, axes, stored)


def safetensors_header(key: str, precision: Precision, shape: tuple[int, int, int]) -> bytes:
    """The bytes before the values in a `.safetensors` file of one tensor."""
    kind = next(name for name, known in SAFETENSORS_PRECISIONS.items() if known == precision)
    entry = {"dtype": kind, "shape": list(shape), "data_offsets": [0, prod(shape) * ITEM_BYTES[precision]]}
    text = json.dumps({key: entry}).encode()
    # The values start at a multiple of eight bytes.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def require_numbers(dtype: np.dtype[Any], source: str) -> None:
    """InputError, with `source` in it, unless values of this type can be read as float32."""
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise InputError(f"{source} holds {dtype}; {NUMBERS}")


def precision_of(dtype: np.dtype[Any]) -> Precision:
    """The precision that holds values of this type as they are read: float32 for integers."""
    return next((name for name in PRECISIONS if name == dtype.name), "float32")


def feature_shape(shape: tuple[int, ...], source: str, rows: Rows | None = "videos") -> tuple[int, int, int]:
    """`shape` as (N, T, D): pooled videos have one frame, and trailing axes of length 1 beyond three are dropped.

    `rows` is the meaning of the first of two axes; None refuses two axes. Raises InputError, with `source` in it, if
    there are other axes, or no video.
    """
    axes = list(shape)
    while len(shape) > 3 and axes and axes[-1] == 1:
        axes.pop()
    if rows == "frames" and len(axes) in (1, 2):
        axes = [1] * (3 - len(axes)) + axes
    elif rows == "videos" and len(axes) == 2:
        axes.insert(1, 1)
    if len(axes) == 2:
        raise InputError(
            f"{source} has shape {shape}, one of several files: (frames, dimensions) of one video each, or pooled "
            '(videos, dimensions)? name a folder or a pattern such as "frames/*.npy" in dataset.toml for one video a '
            "file, or store pooled features as (videos, 1, dimensions)"
        )
    if len(axes) != 3:
        raise InputError(
            f"{source} has shape {shape}; expected (videos, frames, dimensions), or (videos, dimensions) if pooled"
        )
    if min(shape) < 1:
        raise InputError(f"{source} is empty (shape {shape}); write at least one video to it")
    count, frames, dimensions = axes
    if frames * dimensions > MOST_NUMBERS_A_VIDEO:
        raise InputError(
            f"{source} has shape {shape}, {frames * dimensions:,} numbers a video; {MOST_NUMBERS_A_VIDEO:,} are read "
            "at most: sample fewer frames"
        )
    return count, frames, dimensions


def _safetensors_header(path: Path) -> tuple[dict[str, Any], int]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 0 < length <= min(size - 8, LONGEST_SAFETENSORS_HEADER):
            raise InputError(f"{path}: not a safetensors file, or truncated (a header of {length} bytes in {size})")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: not a safetensors file (its header is not JSON); write it again") from error
    if not isinstance(header, dict):
        raise InputError(f"{path}: not a safetensors file (its header is not a table); write it again")
    return header, 8 + length


def _natural_numbers(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)
