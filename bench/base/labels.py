"""Labels in all usual forms, converted to a table of classes or to one class per video.

Label files and `bench.evaluate` read labels by the same rules, which docs/feature-files.md states for users.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.base.text import one_line

# Class numbers are written out as a table where one is asked for: half a gigabyte for every copy.
MOST_LABELS = 2**29
EXACT = 2**53
"""Beyond it float64 skips whole numbers."""


class Labels(NamedTuple):
    """Labels of N videos, and whether they were transposed when they were read."""

    values: NDArray[Any]
    """(N, C) uint8 of 0 and 1; or the class of every video, (N,), as int64 or as text."""
    turned: bool
    """The array was (classes, videos)."""

    @property
    def kind(self) -> str:
        """The kind of labels, in words."""
        if self.values.ndim == 2:
            return "a table of classes"
        return "class names" if self.values.dtype.kind == "U" else "class numbers"


def as_labels(array: NDArray[Any], videos: int | None, name: str) -> Labels:
    """The labels of `videos` videos from an array; error messages call them `name`.

    - An array with one column, but not one row, per video is transposed: (C, N) is (N, C), (1, N) is (N, 1).
    - (N,) and (N, 1) hold the class of every video: integers from 0 in any numeric type, booleans, strings; or -1
      and 1, which are two classes.
    - (N, C) is a table: 1 where the video belongs to the class, else 0; or 1 and -1.

    `videos` is None if it is unknown; the array is then never transposed.

    Raises:
        InputError: a wrong number of rows or axes; no numbers; any other value, including NaN.
    """
    if array.ndim not in (1, 2) or 0 in array.shape:
        raise InputError(
            f"{name} have shape {array.shape}; give a table (videos, classes) of 0 and 1, or the class number of every "
            "video (videos,)"
        )
    if array.dtype.kind not in "biufUS":
        raise InputError(
            f"{name} are of type {array.dtype}; give numbers, such as the class number of every video: "
            "numpy.unique(labels, return_inverse=True)[1]"
        )
    turned = array.ndim == 2 and videos in array.shape and len(array) != videos
    rows = array.T if turned else array
    if videos is not None and len(rows) != videos:
        raise InputError(f"{name} have shape {array.shape} for {videos:,} videos; give one row for every video")
    if rows.ndim == 2 and rows.shape[1] > 1:
        return Labels(_table(rows, name), turned)
    return Labels(_classes(rows.reshape(-1), name), turned)


def require_alike(labels: Mapping[str, Labels]) -> None:
    """Check that labels, given by their names in error messages, can be compared with each other.

    Raises InputError if some are tables and others are not, some are numbers and others strings, tables differ in
    width, or a square table could be (classes, videos), since others were.
    """
    for (first_name, first), (name, other) in pairwise(labels.items()):
        if first.kind != other.kind:
            raise InputError(f"{first_name} are {first.kind}, but {name} are {other.kind}; give both the same way")
        if first.values.shape[1:] != other.values.shape[1:]:
            raise InputError(
                f"{first_name} have {first.values.shape[1]} classes, but {name} have {other.values.shape[1]}; give "
                "both the same columns"
            )
    turned = next((name for name, found in labels.items() if found.turned), None)
    for name, found in labels.items() if turned else ():
        if not found.turned and found.values.shape == 2 * (len(found.values),):
            raise InputError(
                f"{turned} are (classes, videos), and {name} of shape {found.values.shape} could be either; give both "
                "as (videos, classes)"
            )


def as_tables(labels: Sequence[NDArray[Any]], names: Sequence[str] | None) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Tables with the same columns for labels of one kind, and the names of the columns.

    Class numbers and names get a column for every class that occurs, ascending. With `names`, column c is called
    `names[c]`: class numbers then count from 0, or from 1 if the number of names occurs.

    Raises InputError if there are other classes than names, or nearly as many as videos.
    """
    if labels[0].ndim == 2:
        classes = labels[0].shape[1]
        if names is not None and len(names) != classes:
            raise InputError(f"{len(names)} class_names for {classes} columns of labels; name every column")
        return list(labels), list(names or map(str, range(classes)))
    known = np.unique(np.concatenate(labels))
    if names is None:
        columns, names = known, [one_line(str(value)) for value in known]
    elif known.dtype.kind == "U":
        columns = np.array(names)
    else:
        columns = np.arange(len(names)) + (len(names) in known)
    strange = np.setdiff1d(known, columns)
    if strange.size:
        raise InputError(f"{len(names)} class_names, but a video of class {strange[0]}; name every class, in order")
    if max(map(len, labels)) * len(columns) > MOST_LABELS:
        raise InputError(f"{len(columns):,} different class numbers; number classes, not videos")
    return [(array[:, None] == columns).view(np.uint8) for array in labels], list(names)


def _table(rows: NDArray[Any], name: str) -> NDArray[np.uint8]:
    # In one pass where the type allows it, since tables are large.
    right = rows.max() <= 1 if rows.dtype.kind in "bu" else _two_values(rows).all()
    if not right:
        row, column = (int(place) for place in np.argwhere(~_two_values(rows))[0])
        raise InputError(
            f"{name} hold {rows[row, column]} at row {row}, column {column}; a table holds 1 where a video belongs to "
            "a class, else 0 or -1 (class numbers are one a video, in one column)"
        )
    return (rows == 1).view(np.uint8)


def _two_values(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each value is 1 or its opposite: -1 if -1 occurs and 0 does not, else 0."""
    if rows.dtype.kind in "US":
        return np.zeros(rows.shape, dtype=bool)
    signed = rows.dtype.kind in "if" and bool((rows == -1).any()) and not (rows == 0).any()
    return (rows == 1) | (rows == (-1 if signed else 0))


def _classes(values: NDArray[Any], name: str) -> NDArray[Any]:
    if values.dtype.kind in "US":
        return values if values.dtype.kind == "U" else np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "f":
        values = values.astype(np.float64)
        wrong = ~((values == np.floor(values)) & (np.abs(values) <= EXACT))  # NaN and infinities among them
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(f"{name} hold {values[row]} at row {row}; class numbers are whole, one a video")
    if values.dtype.kind == "u" and values.max() > np.iinfo(np.int64).max:
        raise InputError(f"{name} hold the class number {values.max()}; number the classes from 0")
    numbers = values.astype(np.int64)
    if np.isin(numbers, (-1, 1)).all():
        # 1 keeps its meaning, whether a part or a split holds both values or one.
        return np.maximum(numbers, 0)
    if numbers.min() < 0:
        row = int(np.argmax(numbers < 0))
        raise InputError(
            f"{name} hold the class number {numbers[row]} at row {row}; number classes from 0, and if some videos "
            "have no class give a table (videos, classes), where theirs is a row of zeros"
        )
    return numbers
