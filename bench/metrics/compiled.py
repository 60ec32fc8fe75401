"""Compilation of kernels with numba, and the instruction that it lacks."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.extending import intrinsic

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Compile `function` with numba at its first call, without the GIL, keeping the result on disk.

    The compiled code is stored where numba stores it: in `NUMBA_CACHE_DIR` if that is set, else beside the source, else
    in the user's cache folder. Numba notices changes in the file of the kernel only, so a kernel must not call kernels
    of another file, nor read constants of one: their values are compiled in.
    """
    # error_model: no kernel divides by zero, so none needs to check for it.
    try:
        return cast(Kernel, numba.njit(nogil=True, error_model="numpy", cache=True)(function))
    except RuntimeError:  # numba found no folder it may write to; compiling anew in every process still works
        return cast(Kernel, numba.njit(nogil=True, error_model="numpy")(function))


def _popcount(_context: Any, value: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return value(value), generate


popcount: Any = intrinsic(_popcount)
"""The number of ones among the bits of an unsigned integer, in kernels."""
