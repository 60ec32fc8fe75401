"""Drawing similar and dissimilar videos from an anchor graph."""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from bench.structure.graph import DISSIMILAR, SIMILAR, AnchorGraph, linked, pair_tag, tag

DRAWS = 6


@dataclass(frozen=True)
class Pairs:
    """What was drawn for B training videos; indices (B,) int64 of training videos."""

    partner: NDArray[np.int64]
    sign: NDArray[np.float32]
    """+1 where the partner is similar, −1 where it is dissimilar."""
    similar: NDArray[np.int64]
    dissimilar1: NDArray[np.int64]
    dissimilar2: NDArray[np.int64]


def draw_pairs(graph: AnchorGraph, videos: NDArray[np.int64], random: np.random.Generator) -> Pairs:
    """For every video: a partner, similar with probability ½, one similar and two dissimilar videos.

    Similar: uniform over the videos of tag 1, the video itself among them. Dissimilar: uniform over tag 2, or over tag 0
    where there is no tag 2, or over all where there is no tag 0 either. If the two dissimilar videos are similar to each
    other, the second is drawn once more. (MCMSH, ACM MM 2022, as its code draws.)
    """
    uniform = random.random((len(videos), DRAWS))
    drawn = _draw(videos, uniform, graph.anchors, graph.weights, graph.starts, graph.members, graph.places)
    sign = np.where(uniform[:, 0] < 0.5, 1.0, -1.0).astype(np.float32)
    return Pairs(drawn[:, 0], sign, drawn[:, 1], drawn[:, 2], drawn[:, 3])


@numba.njit(cache=True, nogil=True)
def _draw(
    videos: NDArray[np.int64],
    uniform: NDArray[np.float64],
    anchors: NDArray[np.int32],
    weights: NDArray[np.float64],
    starts: NDArray[np.int64],
    members: NDArray[np.int32],
    places: NDArray[np.int8],
) -> NDArray[np.int64]:
    total = len(anchors)
    links = np.zeros((3, total))
    touched = np.empty(total, dtype=np.int64)
    similar = np.empty(total, dtype=np.int64)
    dissimilar = np.empty(total, dtype=np.int64)
    marked = np.zeros(total, dtype=np.bool_)
    drawn = np.empty((len(videos), 4), dtype=np.int64)
    for row in range(len(videos)):
        video = videos[row]
        count = linked(video, anchors, weights, starts, members, places, links, touched)
        near, far = 0, 0
        for number in range(count):
            other = touched[number]
            kind = tag(links[0, other], links[1, other], links[2, other])
            links[:, other] = 0.0
            if kind == SIMILAR:
                similar[near] = other
                near += 1
            elif kind == DISSIMILAR:
                dissimilar[far] = other
                far += 1
        if near == 0:
            similar[0] = video
            near = 1
        if far == 0:
            # Everything of tag 0: the complement of the similar videos; everything at all where that is empty.
            for number in range(near):
                marked[similar[number]] = True
            for other in range(total):
                if not marked[other] or near == total:
                    dissimilar[far] = other
                    far += 1
            for number in range(near):
                marked[similar[number]] = False
        if uniform[row, 0] < 0.5:
            drawn[row, 0] = similar[int(uniform[row, 1] * near)]
        else:
            drawn[row, 0] = dissimilar[int(uniform[row, 1] * far)]
        drawn[row, 1] = similar[int(uniform[row, 2] * near)]
        drawn[row, 2] = dissimilar[int(uniform[row, 3] * far)]
        drawn[row, 3] = dissimilar[int(uniform[row, 4] * far)]
        if pair_tag(drawn[row, 2], drawn[row, 3], anchors, weights) == SIMILAR:
            drawn[row, 3] = dissimilar[int(uniform[row, 5] * far)]
    return drawn
