"""Compiled loops over anchor lists.

All of them stand in this one file: numba's cache on disk notices changes of a kernel's own file only, so a kernel must
not call one of another file.
"""

import numba
import numpy as np
from numpy.typing import NDArray

THRESHOLD = 1e-5
SIMILAR, DISSIMILAR = 1, 2


@numba.njit(cache=True, nogil=True)
def tag(link3: float, link4: float, link5: float) -> int:
    """The tag of a pair from its entries of A_3, A_4 and A_5; the rare −1 and 3 count as 0."""
    value = int(link3 > THRESHOLD) + 2 * (int(link5 > THRESHOLD) - int(link4 > THRESHOLD))
    return value if SIMILAR <= value <= DISSIMILAR else 0


@numba.njit(cache=True, nogil=True)
def linked(
    video: int,
    anchors: NDArray[np.int32],
    weights: NDArray[np.float64],
    starts: NDArray[np.int64],
    members: NDArray[np.int32],
    member_weights: NDArray[np.float64],
    links: NDArray[np.float64],
    touched: NDArray[np.int64],
) -> int:
    """Row `video` of A_3, A_4 and A_5, where it is not zero.

    Adds the entries to `links` (N, 3), which must hold zeros, writes the videos that share an anchor to `touched` and
    returns their number.
    """
    count = 0
    for position in range(anchors.shape[1]):
        weight3, weight4, weight5 = weights[video, position]
        if weight4 == 0.0 and weight5 == 0.0:
            continue
        anchor = anchors[video, position]
        for entry in range(starts[anchor], starts[anchor + 1]):
            other = members[entry]
            shared = weight5 * member_weights[entry, 2]
            if links[other, 2] == 0.0 and links[other, 1] == 0.0 and links[other, 0] == 0.0:
                touched[count] = other
                count += 1
                # Marks the video as listed even where its products underflow to zero.
                shared += np.finfo(np.float64).tiny
            links[other, 2] += shared
            links[other, 1] += weight4 * member_weights[entry, 1]
            links[other, 0] += weight3 * member_weights[entry, 0]
    return count


@numba.njit(cache=True, nogil=True)
def pair_tag(first: int, second: int, anchors: NDArray[np.int32], weights: NDArray[np.float64]) -> int:
    """The tag, 0 to 2, of one pair of videos."""
    link3, link4, link5 = 0.0, 0.0, 0.0
    for position in range(anchors.shape[1]):
        for place in range(anchors.shape[1]):
            if anchors[first, position] == anchors[second, place]:
                link3 += weights[first, position, 0] * weights[second, place, 0]
                link4 += weights[first, position, 1] * weights[second, place, 1]
                link5 += weights[first, position, 2] * weights[second, place, 2]
    return tag(link3, link4, link5)


@numba.njit(cache=True, nogil=True)
def draw(
    videos: NDArray[np.int64],
    allowed: NDArray[np.bool_],
    uniform: NDArray[np.float64],
    anchors: NDArray[np.int32],
    weights: NDArray[np.float64],
    starts: NDArray[np.int64],
    members: NDArray[np.int32],
    member_weights: NDArray[np.float64],
) -> NDArray[np.int64]:
    total, possible = len(anchors), allowed.sum()
    links = np.zeros((total, 3))
    touched = np.empty(total, dtype=np.int64)
    similar = np.empty(total, dtype=np.int64)
    dissimilar = np.empty(total, dtype=np.int64)
    marked = np.zeros(total, dtype=np.bool_)
    drawn = np.empty((len(videos), 4), dtype=np.int64)
    for row in range(len(videos)):
        video = videos[row]
        count = linked(video, anchors, weights, starts, members, member_weights, links, touched)
        near, far = 0, 0
        for number in range(count):
            other = touched[number]
            kind = tag(links[other, 0], links[other, 1], links[other, 2])
            links[other, 0] = links[other, 1] = links[other, 2] = 0.0
            if not allowed[other]:
                continue
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
                if allowed[other] and (not marked[other] or near == possible):
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
