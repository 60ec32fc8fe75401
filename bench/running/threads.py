"""How many threads a run computes with: codes depend on it, since sums are split differently."""

import os
import sys

from bench.threads import usable_cores

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def choose_threads(asked: int | None, jobs: int, apart: bool) -> int | None:
    """The threads of a run: as asked, else all that this process may use divided by `jobs`; None: as libraries choose.

    Unless runs are done `apart`, in processes that set this for themselves, it is set here: to be called before numpy
    and torch are loaded.
    """
    if asked is None:
        return max(1, usable_cores() // jobs) if jobs > 1 else None
    if not apart:
        os.environ.update({name: str(asked) for name in VARIABLES})
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(asked)
    return asked
