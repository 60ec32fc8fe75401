"""Exact k-means at the size of the papers' training sets; distances that cannot matter are skipped.

Lloyd's algorithm, with two observations that change no assignment: the centre of a cluster that neither gained nor
lost a point stays where it is; and a point whose own centre stayed can only be drawn away by one that moved. With a few
dozen points a cluster most clusters are settled after a few rounds, and most of the distances need not be computed.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from bench.base.errors import InputError

# Of points that are looked at together; 128 MB are 8,192 of the papers' 4096 features.
BLOCK_BYTES = 128 * 2**20


def require_anchors(anchors: int, videos: int) -> None:
    """InputError unless `anchors` centres can be found among `videos` videos."""
    if anchors > videos:
        raise InputError(f"anchors: {anchors} are asked for, but there are only {videos} training videos; set fewer")


def kmeans(points: NDArray[np.float32], anchors: int, seed: int, iterations: int = 25) -> NDArray[np.float32]:
    """Centres of k-means, (at most `anchors`, D); clusters that end empty are left out, as the authors do.

    Starts from `anchors` points drawn at random and ends after `iterations` rounds, or before where nothing moves any
    more. Distances come from faiss, on the GPUs that it sees where it is a build for them.

    Args:
        points: (N, D) float32, in memory or mapped: read a block at a time.
        anchors: how many centres, 1 to N.
        seed: the same points and seed give the same centres on the same kind of device.
        iterations: of Lloyd's algorithm, 1 or more.

    Raises:
        InputError: fewer points than anchors.
    """
    require_anchors(anchors, len(points))
    start = np.random.Generator(np.random.Philox(seed)).choice(len(points), anchors, replace=False)
    centres, nearest = kmeans_from(points, np.array(points[np.sort(start)], dtype=np.float32), iterations)
    return centres[np.bincount(nearest, minlength=anchors) > 0]


def kmeans_from(
    points: NDArray[np.float32], start: NDArray[np.float32], iterations: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Centres (k, D) of k-means that begins at `start` (k, D), and the centre nearest to each point (N,).

    Ends as `kmeans` does; a cluster without points keeps its centre.
    """
    centres, clusters = start.copy(), np.arange(len(start))
    nearest = np.zeros(len(points), dtype=np.int64)
    distance = np.full(len(points), np.inf, dtype=np.float32)
    _draw_to(points, np.arange(len(points)), centres, clusters, nearest, distance)
    changed = clusters
    for _ in range(iterations):
        moved = _move(points, centres, nearest, changed)
        if not moved.size:
            break
        before = nearest.copy()
        loose = np.isin(nearest, moved)
        distance[loose] = np.inf
        _draw_to(points, np.flatnonzero(loose), centres, clusters, nearest, distance)
        _draw_to(points, np.flatnonzero(~loose), centres, moved, nearest, distance)
        left = nearest != before
        changed = np.unique(np.concatenate([nearest[left], before[left]]))
    return centres, nearest


def _move(
    points: NDArray[np.float32], centres: NDArray[np.float32], nearest: NDArray[np.int64], changed: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Put the centres of the changed clusters at their points' means, in place; which of them moved by that.

    Sums are taken in float64. A cluster without points keeps its centre.
    """
    place = np.full(len(centres), -1)
    place[changed] = np.arange(len(changed))
    rows = np.flatnonzero(place[nearest] >= 0)
    sums = np.zeros((len(changed), points.shape[1]))
    for block in _blocks(rows, points.shape[1]):
        members = csr_array(
            (np.ones(len(block)), (place[nearest[block]], np.arange(len(block)))), shape=(len(changed), len(block))
        )
        sums += members @ np.asarray(points[block], dtype=np.float64)
    sizes = np.bincount(nearest, minlength=len(centres))[changed]
    means = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
    moves = (sizes > 0) & (means != centres[changed]).any(axis=1)
    centres[changed[moves]] = means[moves]
    return changed[moves]


def _draw_to(
    points: NDArray[np.float32],
    rows: NDArray[np.int64],
    centres: NDArray[np.float32],
    candidates: NDArray[np.int64],
    nearest: NDArray[np.int64],
    distance: NDArray[np.float32],
) -> None:
    """Assign the points `rows` to the nearest of the candidate centres where it is nearer than `distance`, in place."""
    import faiss  # noqa: PLC0415  half a second that runs without anchors need not spend

    index: faiss.Index = faiss.IndexFlatL2(points.shape[1])
    if faiss.get_num_gpus():
        index = faiss.index_cpu_to_all_gpus(index)
    index.add(np.ascontiguousarray(centres[candidates]))
    for block in _blocks(rows, points.shape[1]):
        found, which = index.search(np.ascontiguousarray(points[block]), 1)
        nearer = found[:, 0] < distance[block]
        distance[block[nearer]] = found[nearer, 0]
        nearest[block[nearer]] = candidates[which[nearer, 0]]


def _blocks(rows: NDArray[np.int64], dimensions: int) -> Iterator[NDArray[np.int64]]:
    step = max(1, BLOCK_BYTES // (4 * dimensions))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
