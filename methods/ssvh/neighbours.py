"""The neighbourhood of SSVH: videos that share neighbours are similar (Song et al., TIP 2018, as their code has it).

N videos. Memory grows with N: about 15 MB at FCVID's size.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from bench.learning.structure.anchor_graph import nearest_anchors

ROWS = 1024
"""Videos whose overlaps with all others are counted at a time."""


@dataclass(frozen=True)
class Neighbourhood:
    """Similar videos: those of video i are `members[starts[i] : starts[i + 1]]`, in ascending order."""

    starts: NDArray[np.int32]
    """(N + 1,)."""
    members: NDArray[np.int32]

    def similar(self, videos: NDArray[np.int64]) -> "Similar":
        """The similar videos of these (B,)."""
        lengths = self.starts[videos + 1] - self.starts[videos]
        starts = np.cumsum(lengths) - lengths
        places = np.arange(lengths.sum()) + np.repeat(self.starts[videos] - starts, lengths)
        members = self.members[places].astype(np.int64)
        column = np.full(len(self.starts) - 1, -1)
        column[videos] = np.arange(len(videos))
        among = np.zeros((len(videos), len(videos)), np.bool_)
        row, found = np.repeat(np.arange(len(videos)), lengths), column[members]
        among[row[found >= 0], found[found >= 0]] = True
        return Similar(starts, members, among)


@dataclass(frozen=True)
class Similar:
    """The similar videos of B videos, as numbers of all N, and among each other."""

    starts: NDArray[np.int64]
    """(B,): those of the i-th begin at this place of `members`."""
    members: NDArray[np.int64]
    among: NDArray[np.bool_]
    """(B, B)."""


def nearest_by_cosine(points: NDArray[np.float32], count: int) -> NDArray[np.int32]:
    """The `count` nearest of N points (N, D) to each by cosine, itself among them: (N, min(count, N)).

    Ties go to the smaller index. A point of zeros is as near to all.
    """
    norms = np.linalg.norm(points.astype(np.float64), axis=1, keepdims=True)
    unit = np.divide(points, norms, out=np.zeros_like(points), where=norms > 0, casting="same_kind")
    nearest, _ = nearest_anchors(unit, unit, min(count, len(points)))
    own = np.arange(len(points), dtype=np.int32)
    # So many copies of smaller index can be as near that a point is not among its own nearest.
    lost = ~(nearest == own[:, None]).any(axis=1)
    nearest[lost, -1] = own[lost]
    return nearest


def neighbourhood(nearest: NDArray[np.integer[Any]], count: int) -> Neighbourhood:
    """Similar videos from the lists L of the nearest of each, (N, n), which hold the video itself.

    Of the videos that share a member of L(i) with it, the `count` that share most, ties to the smaller index, lend
    video i their lists: their union is P(i). i and j are similar if j ∈ P(i) or i ∈ P(j).
    """
    videos = len(nearest)
    lists = _rows(nearest.astype(np.int32), videos)
    holders = lists.T.tocsr()
    lent = np.concatenate(
        [_lending(lists[start : start + ROWS] @ holders, count, start) for start in range(0, videos, ROWS)]
    )
    union = _rows(lent, videos) @ lists
    both = csr_array(union + union.T)
    both.sort_indices()
    return Neighbourhood(both.indptr.astype(np.int32), both.indices.astype(np.int32))


def _rows(columns: NDArray[np.int32], videos: int) -> Any:
    """A matrix (N, N) with ones at the `columns` (N, n) of its rows; what is repeated in a row is summed."""
    starts = np.arange(0, columns.size + 1, columns.shape[1])
    return csr_array((np.ones(columns.size, np.int32), columns.ravel(), starts), shape=(videos, videos))


def _lending(overlaps: Any, count: int, start: int) -> NDArray[np.int32]:
    """The `count` columns with the largest entries of each row, ties to the smaller: (R, count).

    Rows with fewer entries are filled up with the video itself, which is `start` for the first row.
    """
    rows = np.repeat(np.arange(overlaps.shape[0]), np.diff(overlaps.indptr))
    order = np.lexsort((overlaps.indices, -overlaps.data, rows))
    rank = np.arange(len(rows)) - overlaps.indptr[rows]
    kept = rank < count
    lent = np.tile(np.arange(start, start + overlaps.shape[0], dtype=np.int32)[:, None], (1, count))
    lent[rows[kept], rank[kept]] = overlaps.indices[order][kept]
    return lent
