"""Whatever the user gives as an array."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import InputError
from bench.text import one_line


def read_array(values: ArrayLike, name: str) -> NDArray[Any]:
    """`values` as a numpy array of any shape and type; `name` is what error messages call them.

    Raises:
        InputError: they are masked (what is hidden has no place in a ranking); numpy cannot read them, as with rows of
            different lengths, or with tensors that lie on a device, require gradients, are sparse or of a type that
            numpy lacks.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise InputError(f"{name} are a masked array; leave out the rows that it hides, and give a plain array")
    try:
        return np.asarray(values)
    except Exception as error:  # libraries raise anything where their objects are no arrays
        reason = one_line(str(error))[:150]
        raise InputError(f"{name} cannot be read as an array ({reason}); give a numpy array of numbers") from error
