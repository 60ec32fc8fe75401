"""Python values as callers pass them: whole numbers, paths, arrays and tensors of every library."""

import operator
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import InputError
from bench.base.paths import named_path
from bench.base.text import message_of, shown

MIN_BITS, MAX_BITS = 1, 1024
MAX_SEED = 2**32 - 1


def whole_number(value: object, name: str, low: int, high: int) -> int:
    """`value` as an int: a whole number of Python or numpy, or an array or tensor without axes that holds one.

    Raises InputError, with `name`, for anything else (floats and booleans too) and outside `low`…`high`.
    """
    truth = isinstance(value, bool) or str(getattr(value, "dtype", "")) in {"bool", "torch.bool"}
    try:
        number = operator.index("" if truth else value)  # type: ignore[arg-type]
    except Exception:  # `__index__` of a class may raise anything
        raise InputError(
            f"{name}: {shown(value)} is of type {type(value).__name__}; give an int, such as {max(low, 16)}"
        ) from None
    if not low <= number <= high:
        raise InputError(f"{name}: {shown(number)} is not between {low} and {high}")
    return number


def plain(value: Any) -> Any:
    """Numbers and arrays of numpy and PyTorch as Python's own numbers and lists; all else as it is."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) or _is_tensor(value) else value


def as_path(value: object, name: str) -> Path:
    """A path from text or a path object; `~` is the home folder. Raises InputError, with `name`, for anything else."""
    if not isinstance(value, str | os.PathLike) or isinstance(os.fspath(value), bytes):
        raise InputError(
            f"{name}: {shown(value)} is of type {type(value).__name__}; give a path as text or pathlib.Path"
        )
    return named_path(value)


def read_array(values: ArrayLike, name: str) -> NDArray[Any]:
    """`values` as a numpy array of any shape and type; error messages call them `name`.

    Tensors may require gradients, lie on a device or be bfloat16, which becomes float32; lists of tensors too.

    Raises:
        InputError: they are masked (hidden rows have no rank); numpy cannot read them: rows of different lengths,
            sparse tensors, iterators.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise InputError(f"{name} are a masked array; leave out the rows that it hides, and give a plain array")
    if hasattr(values, "__next__"):
        raise InputError(f"{name} are an iterator; give numpy.stack(list(…)) of it")
    try:
        if isinstance(values, list | tuple) and any(_is_tensor(row) for row in values):
            return np.asarray([_of_tensor(row) if _is_tensor(row) else row for row in values])
        return _of_tensor(values) if _is_tensor(values) else np.asarray(values)
    except Exception as error:  # libraries raise anything where their objects are no arrays
        raise InputError(
            f"{name} cannot be read as an array ({message_of(error)}); give a numpy array of numbers"
        ) from error


def _is_tensor(value: object) -> bool:
    # By name: importing PyTorch takes a second, which callers without tensors can save.
    return any(base.__module__ == "torch" and base.__name__ == "Tensor" for base in type(value).__mro__)


def _of_tensor(tensor: Any) -> NDArray[Any]:
    held = tensor.detach().cpu().resolve_conj().resolve_neg()
    return np.asarray(held.float() if str(held.dtype) == "torch.bfloat16" else held)


def check_bits(bits: object) -> int:
    """`bits` as an int; InputError unless it is a whole number of 1…1024."""
    return whole_number(bits, "bits", MIN_BITS, MAX_BITS)


def check_seed(seed: object) -> int:
    """`seed` as an int; InputError unless it is a whole number of 0…2³²-1."""
    return whole_number(seed, "seed", 0, MAX_SEED)
