"""Labels as (N, C) uint8 multi-hot arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import InputError


def as_multi_hot(array: NDArray[Any], source: str) -> NDArray[np.uint8]:
    """`array` as (N, C) uint8; it must be two-dimensional and hold only 0 and 1. `source` names it in errors."""
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{source}: labels have shape {array.shape}; expected (videos, classes), multi-hot")
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise InputError(f"{source}: labels must be 0 or 1 (multi-hot, one column a class)")
    return array.astype(np.uint8)


def require_length(labels: NDArray[np.uint8], videos: int, source: str, features_source: str) -> None:
    """InputError unless there is one row of labels a video."""
    if len(labels) == videos:
        return
    transposed = "; they are transposed: store them as (videos, classes)" if labels.shape[1] == videos else ""
    raise InputError(
        f"{source}: {len(labels)} rows of labels for the {videos} videos of {features_source}; "
        f"they must match row by row{transposed}"
    )
