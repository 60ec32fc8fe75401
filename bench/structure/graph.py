"""The anchor graph of BTH and MCMSH, kept as N×5 anchor indices and weights.

For s nearest anchors, `Z_s` (N, M) holds each video's weights exp(-d²/(2σ²)), normalised to sum 1 over its s anchors,
with σ = mean over videos of the distance to the s-th nearest anchor / √2; `A_s = Z_s Λ_s⁻¹ Z_sᵀ`, with `Λ_s` the column
sums of `Z_s`. Two videos are linked at s where A_s > 1e-5. The tag of a pair is 1·A_3 + 2·(A_5 − A_4): 1 = similar,
2 = at middle distance, used as dissimilar, everything else = 0. (Liu et al., "Large graph construction for scalable
semi-supervised learning", ICML 2010; tags: Li et al., BTH, CVPR 2021.)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.structure.anchors import nearest_anchors
from bench.structure.kernels import linked, tag

NEIGHBOURS = 5
ORDERS = (3, 4, 5)


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
