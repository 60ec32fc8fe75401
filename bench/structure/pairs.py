"""Drawing similar and dissimilar videos from an anchor graph."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.structure.graph import AnchorGraph
from bench.structure.kernels import draw

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
