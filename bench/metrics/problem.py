"""What the counting kernels read: codes and labels of some queries and of the whole gallery.

Codes come as byte planes, (bytes, n): counting the bits of single bytes keeps 32 or 64 pairs in one vector register.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.metrics.codes import PackedCodes, code_bytes
from bench.metrics.labels import LabelLists, LabelPlanes


class Problem(NamedTuple):
    """Some queries and the whole gallery, as the kernels read them."""

    queries: NDArray[np.uint8]  # (b, ceil(K / 8)), bytes of the codes, one query a row
    gallery: NDArray[np.uint8]  # (ceil(K / 8), n), one item a column
    labels: LabelLists  # of these queries and the gallery
    label_planes: LabelPlanes  # the same labels; no planes where the lists are to be walked

    def block(self, start: int, stop: int) -> "Problem":
        """The same for queries `start` to `stop` - 1 only."""
        return Problem(
            self.queries[start:stop],
            self.gallery,
            self.labels._replace(query_starts=self.labels.query_starts[start : stop + 1]),
            self.label_planes._replace(queries=self.label_planes.queries[start:stop]),
        )


def byte_planes(codes: PackedCodes) -> NDArray[np.uint8]:
    """The codes as (ceil(K / 8), n) bytes, one row for every eight bits."""
    return code_bytes(codes).T.copy()
