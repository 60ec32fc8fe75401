"""The anchor graph of a training set: nearest anchors, similar videos, and pairs drawn from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.learning.structure.kernels import draw, linked, tag

# Candidates beyond the asked number whose distances are computed again exactly: float32 products may swap neighbours.
SPARE = 4
# Of the largest scratch array of `nearest_anchors`, which holds a few of them.
BLOCK_BYTES = 32 * 2**20
# Points at a time, however many anchors there are: with fewer, products would wait for memory.
FEWEST_ROWS = 64
NEIGHBOURS = 5
ORDERS = (3, 4, 5)
DRAWS = 6


def nearest_anchors(
    points: NDArray[np.float32], anchors: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The `count` nearest anchors of every point, nearest first: indices (N, count) and squared distances (N, count).

    Squared Euclidean distances are exact to float64; equal distances are ordered by the anchor's index.
    """
    kept = min(count + SPARE, len(anchors))
    indices = np.empty((len(points), count), dtype=np.int32)
    distances = np.empty((len(points), count), dtype=np.float64)
    half_norms = 0.5 * np.einsum("md,md->m", anchors, anchors)
    rows = max(FEWEST_ROWS, BLOCK_BYTES // (8 * max(anchors.shape)))
    for start in range(0, len(points), rows):
        block = np.asarray(points[start : start + rows])
        coarse = half_norms - block @ anchors.T
        candidates = np.sort(np.argpartition(coarse, kept - 1, axis=1)[:, :kept], axis=1)
        exact_block = block.astype(np.float64)
        exact = np.empty(candidates.shape)
        for column in range(kept):
            # No copy of all anchors in float64: there may be as many as videos.
            difference = exact_block - anchors[candidates[:, column]]
            exact[:, column] = np.einsum("nd,nd->n", difference, difference)
        order = np.argsort(exact, axis=1, kind="stable")[:, :count]
        indices[start : start + len(block)] = np.take_along_axis(candidates, order, axis=1)
        distances[start : start + len(block)] = np.take_along_axis(exact, order, axis=1)
    return indices, distances


def principal_components(centres: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """The centres in the `dimensions` directions of largest variance among themselves; missing ones are zero.

    (M, D) → (M, dimensions). MCMSH (ACM MM 2022) projects its cluster centres so; eigenvectors sorted by variance,
    each with its largest entry positive, so that the result does not depend on the solver's signs.
    """
    centred = centres.astype(np.float64) - centres.astype(np.float64).mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:dimensions]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    projected = np.zeros((len(centres), dimensions), dtype=np.float32)
    projected[:, : len(directions)] = centred @ (directions * np.where(largest < 0, -1.0, 1.0)).T
    return projected


@dataclass(frozen=True)
class AnchorGraph:
    """Nearest anchors of N videos, the weights of `Z_3`, `Z_4`, `Z_5`, and which videos have an anchor near."""

    anchors: NDArray[np.int32]
    """(N, 5) indices, nearest first."""
    weights: NDArray[np.float64]
    """(N, 5, 3): row of Z_s for s = 3, 4, 5, already divided by √Λ_s, zero beyond the s-th anchor."""
    starts: NDArray[np.int64]
    """(M + 1,): the videos near anchor m are `members[starts[m] : starts[m + 1]]`."""
    members: NDArray[np.int32]
    """(N * 5,) videos, by anchor."""
    member_weights: NDArray[np.float64]
    """(N * 5, 3): the members' weights at the anchor, beside them so that a list is read in one sweep."""

    def __len__(self) -> int:
        return len(self.anchors)

    def tags(self, video: int) -> NDArray[np.int8]:
        """The tags, 0 to 2, of one video against all N."""
        links = np.zeros((len(self), 3))
        touched = np.empty(len(self), dtype=np.int64)
        row = np.zeros(len(self), dtype=np.int8)
        lists = (self.starts, self.members, self.member_weights)
        count = linked(video, self.anchors, self.weights, *lists, links, touched)
        for other in touched[:count]:
            row[other] = tag(links[other, 0], links[other, 1], links[other, 2])
        return row


def anchor_graph(points: NDArray[np.float32], anchors: NDArray[np.float32]) -> AnchorGraph:
    """The anchor graph of points (N, D) over anchors (M, D).

    With fewer than five anchors the missing neighbours have weight zero: such a graph has no pairs at middle distance.
    """
    return graph_of_nearest(*nearest_anchors(points, anchors, min(NEIGHBOURS, len(anchors))), len(anchors))


def graph_of_nearest(indices: NDArray[np.int32], distances: NDArray[np.float64], anchors: int) -> AnchorGraph:
    """The anchor graph from the nearest of M = `anchors` anchors: indices and squared distances, each (N, min(5, M)).

    This is all that the graph depends on. The graph takes 280 bytes a video, whatever M and D.
    """
    videos, known = indices.shape
    weights = np.zeros((videos, NEIGHBOURS, len(ORDERS)))
    for number, order in enumerate(ORDERS):
        used = min(order, known)
        near = distances[:, :used]
        sigma = np.sqrt(near[:, -1]).mean() / np.sqrt(2)
        # All points on their anchors: σ = 0, and every near anchor weighs the same.
        kernel = np.exp(-near / (2 * sigma**2)) if sigma > 0 else np.ones_like(near)
        # A far outlier's weights can all underflow; it then belongs to its nearest anchor alone.
        kernel[kernel.sum(axis=1) == 0, 0] = 1.0
        kernel /= kernel.sum(axis=1, keepdims=True)
        mass = np.bincount(indices[:, :used].ravel(), weights=kernel.ravel(), minlength=anchors)
        weights[:, :used, number] = kernel / np.sqrt(np.maximum(mass, np.finfo(float).tiny))[indices[:, :used]]
    padded = np.zeros((videos, NEIGHBOURS), dtype=np.int32)
    padded[:, :known] = indices
    owner = indices.ravel()
    by_anchor = np.argsort(owner, kind="stable")
    members, places = np.divmod(by_anchor, known)
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=anchors))]).astype(np.int64)
    return AnchorGraph(
        anchors=padded,
        weights=weights,
        starts=starts,
        members=members.astype(np.int32),
        member_weights=weights[members, places],
    )


@dataclass(frozen=True)
class Pairs:
    """Videos drawn for B training videos; indices (B,) int64 of training videos."""

    partner: NDArray[np.int64]
    sign: NDArray[np.float32]
    """+1 where the partner is similar, −1 where it is dissimilar."""
    similar: NDArray[np.int64]
    dissimilar1: NDArray[np.int64]
    dissimilar2: NDArray[np.int64]


def draw_pairs(
    graph: AnchorGraph, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator
) -> Pairs:
    """For every one of the `videos` (B,): a partner, similar with probability ½, one similar and two dissimilar videos.

    All come from `among` (M,), which must hold the `videos`, too.

    Similar: uniform over the videos of tag 1, the video itself among them. Dissimilar: uniform over tag 2, or over
    tag 0 where there is no tag 2, or over all where there is no tag 0 either. If the two dissimilar videos are similar
    to each other, the second is drawn once more. (MCMSH, ACM MM 2022, as its code draws.)
    """
    uniform = random.random((len(videos), DRAWS))
    allowed = np.zeros(len(graph), dtype=np.bool_)
    allowed[among] = True
    lists = (graph.anchors, graph.weights, graph.starts, graph.members, graph.member_weights)
    drawn = draw(videos, allowed, uniform, *lists)
    sign = np.where(uniform[:, 0] < 0.5, 1.0, -1.0).astype(np.float32)
    return Pairs(drawn[:, 0], sign, drawn[:, 1], drawn[:, 2], drawn[:, 3])
