"""Precisions of stored features, and their conversion to and from float32."""

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["float16", "bfloat16", "float32", "float64"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
# torch splits larger pieces among its threads, which does not pay where several threads read already.
PIECE = 32_000


def stored_dtype(precision: Precision) -> np.dtype[Any]:
    """The little-endian numpy type of stored values. numpy has no bfloat16: its bits are held as int16."""
    names = {"float16": "<f2", "bfloat16": "<i2", "float32": "<f4", "float64": "<f8"}
    return np.dtype(names[precision])


def as_float32(stored: NDArray[Any], precision: Precision) -> NDArray[np.float32]:
    """Stored values as float32, integers and big-endian ones too; float32 itself is not copied."""
    if precision in ("float32", "float64") or stored.dtype != stored_dtype(precision):
        return stored.astype(np.float32, copy=False)
    values = np.empty(stored.shape, dtype=np.float32)
    _copy(_tensor(stored, precision), _tensor(values, "float32"))
    return values


def as_stored(values: NDArray[np.float32], precision: Precision) -> NDArray[Any]:
    """float32 values as they are stored, rounded to nearest, ties to even; larger values become infinite."""
    if precision in ("float32", "float64"):
        return values.astype(stored_dtype(precision), copy=False)
    stored = np.empty(values.shape, dtype=stored_dtype(precision))
    _copy(_tensor(values, "float32"), _tensor(stored, precision))
    return stored


def _tensor(array: NDArray[Any], precision: Precision) -> "Tensor":
    """The numbers of an array, one after the other, in the same memory."""
    # torch converts half precisions twice as fast as numpy, and knows bfloat16. float32 spares its slow import.
    import torch  # noqa: PLC0415

    flat = torch.from_numpy(array.reshape(-1))
    return flat.view(torch.bfloat16) if precision == "bfloat16" else flat


def _copy(source: "Tensor", target: "Tensor") -> None:
    import torch  # noqa: PLC0415

    for piece, place in zip(torch.split(source, PIECE), torch.split(target, PIECE), strict=True):
        place.copy_(piece)
