"""Repeated measurements of many pieces of work in turn, so that the machine's drift hits all alike."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from bench.profile.statistics import FEWEST, PRECISE, spread
from bench.profile.stopwatch import Stopwatch, Work

Key = TypeVar("Key")

WARM_UP_WINDOW, WARM_UP_CHANGE = 3, 0.1
"""Warm is what took, three times in a row, times that differ by a tenth at most."""
WARM_UP_SECONDS = 0.05
MIN_ROUNDS, MAX_ROUNDS = FEWEST, 400
CHECKED = 5
"""Rounds between two looks at how well the medians are known."""
PATIENCE = 3
"""Times the allowed seconds after which even the fewest rounds are cut short: a busy machine must not hold all up."""
SHORT = 0.005
"""Seconds; shorter work finds its data and instructions gone from the caches when its turn comes again."""


def interleave(
    works: Mapping[Key, Work], stopwatch: Stopwatch, seconds: float
) -> tuple[dict[Key, list[float]], dict[Key, Exception]]:
    """Seconds of every repeat of every work, and what the works that failed raised instead.

    After each work is warm, rounds are made, each with one repeat of each work in turn, until the median of every work
    is known well enough (`PRECISE`) or `seconds` are used up. There are `MIN_ROUNDS` at least, unless these take longer
    than `PATIENCE` times `seconds`, and `MAX_ROUNDS` at most.
    """
    failed: dict[Key, Exception] = {}
    typical: dict[Key, float] = {}
    for key, work in works.items():
        try:
            typical[key] = warm_up(work, stopwatch)
        except Exception as error:  # a method's code may fail in any way; the others are measured all the same
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
    """Repeat the work until its times settle, or for `WARM_UP_SECONDS`; the last time."""
    times = [stopwatch(work)]
    while True:
        last = times[-WARM_UP_WINDOW:]
        settled = len(last) == WARM_UP_WINDOW and max(last) <= (1 + WARM_UP_CHANGE) * min(last)
        if settled or (len(times) >= WARM_UP_WINDOW and sum(times) >= WARM_UP_SECONDS):
            return times[-1]
        times.append(stopwatch(work))
