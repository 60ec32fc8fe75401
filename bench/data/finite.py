"""Are all features finite? Looked at in full where that is quick or asked for, else in a sample spread evenly."""

from collections.abc import Callable

import numpy as np

from bench.data.features import Features, videos_a_block
from bench.errors import InputError

# Every value is looked at up to this size; of larger arrays an evenly spread sample of this size.
SAMPLED_BYTES = 2 * 2**30


def blocks_to_check(features: Features, *, all_values: bool = False) -> list[range]:
    """The videos to look at, block by block: all of them, or evenly spread blocks of `SAMPLED_BYTES` together."""
    count, frames, dimensions = features.shape
    step = videos_a_block(features.shape)
    every = 1 if all_values else max(1, -(-count * frames * dimensions * 4 // SAMPLED_BYTES))
    return [range(start, min(start + step, count)) for start in range(0, count, step * every)]


def require_finite(
    features: Features, source: str, *, all_values: bool = False, step: Callable[[], None] = lambda: None
) -> None:
    """InputError naming `source` and the first video with a NaN or infinite value; `step` follows each block."""
    for videos in blocks_to_check(features, all_values=all_values):
        finite = np.isfinite(features.read_slice(videos.start, videos.stop)).all(axis=(1, 2))
        if not finite.all():
            video = videos.start + int(np.flatnonzero(~finite)[0])
            raise InputError(f"{source}: video {video} has NaN or infinite features; remove or repair it")
        step()
