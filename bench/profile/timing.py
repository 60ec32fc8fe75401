"""Timing of calls: stopwatches, interleaved repeats, medians with confidence intervals."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from bench.data.features import Features
from bench.profile.cost_types import SearchTime, Timing

CONFIDENCE = 0.95
PRECISE = 0.05
"""Half the width of the interval, relative to the median, at which measuring may stop."""
FEWEST = 6
"""The fewest samples that allow an interval of this confidence."""
NOISY = 0.10
"""Half the width of the interval, relative to the median, above which a timing is called noisy."""
WARM_UP_WINDOW, WARM_UP_CHANGE = 3, 0.1
"""A call is warm when its last three times differ by a tenth at most."""
WARM_UP_SECONDS = 0.05
MIN_ROUNDS, MAX_ROUNDS = FEWEST, 400
CHECKED = 5
"""Rounds between two checks of the medians' precision."""
PATIENCE = 3
"""Multiple of the allowed seconds after which even the fewest rounds are cut short, on a busy machine."""
SHORT = 0.005
"""Seconds; before shorter work is timed it is repeated once, since others have displaced its data from the caches."""
QUERIES, NEAREST = 64, 100
LOADED = 256
"""The most videos to read when loading is timed."""
SECONDS = 0.2
Work = Callable[[], object]
Key = TypeVar("Key")


class Spread(NamedTuple):
    """Median, quartiles, and the limits of the median's 95 % confidence interval, in the unit of the samples."""

    repeats: int
    median: float
    lower: float
    upper: float
    low: float
    high: float

    @property
    def precision(self) -> float:
        """Half the width of the confidence interval relative to the median; infinite if there is no interval."""
        return (self.high - self.low) / (2 * self.median) if self.median and self.repeats >= FEWEST else math.inf


def spread(samples: Sequence[float]) -> Spread:
    """The spread of at least one sample.

    The interval is from the j-th smallest to the j-th largest sample, with the largest j for which the number of
    samples below the median, Binomial(n, ½), is less than j with probability 2.5 % at most (David and Nagaraja, Order
    Statistics, 2003, section 7.1). It assumes no distribution. Fewer than six samples cannot give 95 %; then it is
    from the smallest to the largest.
    """
    ordered = sorted(samples)
    lower, median, upper = np.quantile(ordered, [0.25, 0.5, 0.75])
    rank = max(1, interval_rank(len(ordered)))
    return Spread(len(ordered), float(median), float(lower), float(upper), ordered[rank - 1], ordered[-rank])


@cache
def interval_rank(count: int) -> int:
    """The j of `spread` for n samples; 0 if there are too few."""
    tail = (1 - CONFIDENCE) / 2 * 2**count
    return sum(cumulative <= tail for cumulative in accumulate(math.comb(count, below) for below in range(count)))


class Stopwatch(Protocol):
    """Times a call."""

    def __call__(self, work: Work) -> float:
        """Seconds that `work` takes, until the device has finished it."""


class HostStopwatch:
    """The CPU's clock, read before and after the work, each time after `synchronise`."""

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, synchronise: Callable[[], None] = lambda: None
    ) -> None:
        self._clock, self._synchronise = clock, synchronise

    def __call__(self, work: Work) -> float:
        self._synchronise()
        start = self._clock()
        work()
        self._synchronise()
        return self._clock() - start


class EventStopwatch:
    """The clock of a CUDA device: events before and after the work in its stream, read when it has finished."""

    def __init__(self, event: Callable[[], Any], synchronise: Callable[[], None]) -> None:
        self._event, self._synchronise = event, synchronise

    def __call__(self, work: Work) -> float:
        begin, end = self._event(), self._event()
        self._synchronise()
        begin.record()
        work()
        end.record()
        self._synchronise()
        return float(begin.elapsed_time(end)) / 1000


def stopwatch(device: torch.device) -> Stopwatch:
    """The stopwatch for work on a device."""
    if device.type == "cuda":
        return EventStopwatch(
            lambda: torch.cuda.Event(enable_timing=True),  # type: ignore[no-untyped-call]
            lambda: torch.cuda.synchronize(device),
        )
    return HostStopwatch()


def interleave(
    works: Mapping[Key, Work], stopwatch: Stopwatch, seconds: float
) -> tuple[dict[Key, list[float]], dict[Key, Exception]]:
    """The seconds of every repeat of every call, and the errors of those that failed.

    After a warm-up, each round repeats each call once, in turn, until the median of every call is precise enough
    (`PRECISE`) or `seconds` are used up. There are at least `MIN_ROUNDS`, unless they take longer than `PATIENCE` times
    `seconds`, and at most `MAX_ROUNDS`.
    """
    failed: dict[Key, Exception] = {}
    typical: dict[Key, float] = {}
    for key, work in works.items():
        try:
            typical[key] = warm_up(work, stopwatch)
        except Exception as error:  # a method's code may fail in any way; the others are still measured
            failed[key] = error
    samples: dict[Key, list[float]] = {key: [] for key in typical}
    used, rounds = 0.0, 0
    while samples and rounds < MAX_ROUNDS:
        for key, seen in samples.items():
            if typical[key] < SHORT:
                works[key]()
                used += typical[key]
            seen.append(stopwatch(works[key]))
            used += seen[-1]
        rounds += 1
        if rounds >= MIN_ROUNDS and (used >= seconds or (rounds % CHECKED == 0 and _known(samples))):
            break
        if used >= PATIENCE * seconds:
            break
    return samples, failed


def _known(samples: Mapping[Key, Sequence[float]]) -> bool:
    return all(spread(seen).precision <= PRECISE for seen in samples.values())


def warm_up(work: Work, stopwatch: Stopwatch) -> float:
    """Repeat the work until its times are stable, or for `WARM_UP_SECONDS`. Returns the last time."""
    times = [stopwatch(work)]
    while True:
        last = times[-WARM_UP_WINDOW:]
        settled = len(last) == WARM_UP_WINDOW and max(last) <= (1 + WARM_UP_CHANGE) * min(last)
        if settled or (len(times) >= WARM_UP_WINDOW and sum(times) >= WARM_UP_SECONDS):
            return times[-1]
        times.append(stopwatch(work))


def timing(seconds: Sequence[float], batch: int) -> Timing:
    """The timing in milliseconds per video from a batch's measured seconds."""
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
    """Time per query of faiss's exact search, for 64 queries at once in a gallery of random codes."""
    return SearchTime(
        gallery=gallery,
        nearest=min(NEAREST, gallery),
        threads=threads,
        timing=_time(search(bits, gallery), QUERIES, stopwatch),
    )


def time_loading(features: Features, stopwatch: Stopwatch) -> Timing:
    """Time per video of reading the first features of a split, at most 256, repeatedly."""
    count = min(LOADED, len(features))
    return _time(lambda: features[:count], count, stopwatch)


def search(bits: int, gallery: int) -> Work:
    """The search that `time_search` times: sorted distances (64, nearest), and indices in the gallery."""
    import faiss  # noqa: PLC0415  importing it takes seconds, and only measuring needs it

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
