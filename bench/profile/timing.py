"""Timings of encoding, searching and reading, from repeated measurements."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.data.features import Features
from bench.profile.cost_types import SearchTime, Timing
from bench.profile.interleave import interleave
from bench.profile.statistics import NOISY, spread
from bench.profile.stopwatch import Stopwatch, Work

QUERIES, NEAREST = 64, 100
LOADED = 256
SECONDS = 0.2


def timing(seconds: Sequence[float], batch: int) -> Timing:
    """A batch's measured seconds as milliseconds a video."""
    found = spread([1000 * value / batch for value in seconds])
    return Timing(
        batch=batch,
        repeats=len(seconds),
        median_ms=found.median,
        lower_ms=found.lower,
        upper_ms=found.upper,
        low_ms=found.low,
        high_ms=found.high,
        noisy=found.precision > NOISY,
    )


def time_search(bits: int, gallery: int, threads: int, stopwatch: Stopwatch) -> SearchTime:
    """Time a query of the exact search that faiss offers, for 64 queries at once in a gallery of random codes."""
    return SearchTime(
        gallery=gallery,
        nearest=min(NEAREST, gallery),
        threads=threads,
        timing=_time(search(bits, gallery), QUERIES, stopwatch),
    )


def time_loading(features: Features, stopwatch: Stopwatch) -> Timing:
    """Time a video of reading the first features (256 at most) of a split, again and again."""
    count = min(LOADED, len(features))
    return _time(lambda: features[:count], count, stopwatch)


def search(bits: int, gallery: int) -> Work:
    """The search of `time_search`: distances (64, nearest) and places in the gallery, in order."""
    import faiss  # noqa: PLC0415  seconds that only measuring needs spend

    random = np.random.default_rng(0)
    index = faiss.IndexBinaryFlat(8 * -(-bits // 8))
    index.add(_random_codes(random, gallery, bits))
    queries = _random_codes(random, QUERIES, bits)
    return lambda: index.search(queries, min(NEAREST, gallery))


def _random_codes(random: np.random.Generator, count: int, bits: int) -> NDArray[np.uint8]:
    return np.packbits(random.integers(0, 2, (count, bits), dtype=np.uint8), axis=1)


def _time(work: Work, batch: int, stopwatch: Stopwatch) -> Timing:
    samples, failed = interleave({None: work}, stopwatch, SECONDS)
    if failed:
        raise failed[None]
    return timing(samples[None], batch)
