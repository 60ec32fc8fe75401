"""Checked arrays of values per query, the input of the statistics."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import InputError
from bench.base.text import one_line
from bench.base.values import read_array


def read_series(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Values per query as (seeds, queries); (queries,) are those of one seed.

    Raises:
        InputError: the values are empty, not finite, no numbers or of another shape.
    """
    array = read_numbers(values, name)
    if array.ndim not in (1, 2) or array.size == 0:
        raise InputError(f"{name} must be values per query, (queries,) or (seeds, queries), got shape {array.shape}")
    if not np.all(np.isfinite(array)):
        raise InputError(f"{name} hold values that are not finite; leave out or fix those queries")
    return np.atleast_2d(array)


def read_pair(
    first: ArrayLike, second: ArrayLike, names: tuple[str, str] = ("first", "second")
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The values of two methods, each as `read_series` gives them; also InputError unless of equally many queries."""
    one, other = read_series(first, names[0]), read_series(second, names[1])
    if one.shape[1] != other.shape[1]:
        raise InputError(
            f"{names[0]} hold {one.shape[1]} queries but {names[1]} hold {other.shape[1]}; compare on the same queries"
        )
    return one, other


def read_numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """An array of real numbers of any shape; InputError for anything else."""
    array = read_array(values, name)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must be numbers, got type {array.dtype}")
    return array.astype(np.float64)


def check_share(name: str, value: float) -> None:
    """InputError unless the value lies between 0 and 1."""
    if not isinstance(value, (int, float)) or not 0 < value < 1:
        raise InputError(f"{name} must lie between 0 and 1, got {one_line(repr(value))}")


def check_count(name: str, value: int) -> None:
    """InputError unless the value is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name} must be a positive integer, got {one_line(repr(value))}")
