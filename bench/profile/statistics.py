"""What repeated measurements of one thing say: the median, its spread, and how well it is known."""

import math
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95
PRECISE = 0.05
"""Half the width of the interval, as a share of the median, at which measuring may stop."""
FEWEST = 6
"""Samples without which there is no interval of this confidence."""
NOISY = 0.10
"""The same share, above which a timing is called noisy."""


class Spread(NamedTuple):
    """Median, quartiles, and the ends of the 95 % confidence interval of the median, in the unit of the samples."""

    repeats: int
    median: float
    lower: float
    upper: float
    low: float
    high: float

    @property
    def precision(self) -> float:
        """Half the width of the confidence interval as a share of the median; infinite where there is no interval."""
        return (self.high - self.low) / (2 * self.median) if self.median and self.repeats >= FEWEST else math.inf


def spread(samples: Sequence[float]) -> Spread:
    """The spread of at least one sample.

    The interval goes from the j-th smallest to the j-th largest sample, with the largest j for which the number of
    samples below the median, Binomial(n, ½), is less than j with probability 2.5 % at most (David and Nagaraja, Order
    Statistics, 2003, section 7.1). It supposes no distribution. Fewer than six samples cannot give 95 %: from the
    smallest to the largest then.
    """
    ordered = sorted(samples)
    lower, median, upper = np.quantile(ordered, [0.25, 0.5, 0.75])
    rank = max(1, interval_rank(len(ordered)))
    return Spread(len(ordered), float(median), float(lower), float(upper), ordered[rank - 1], ordered[-rank])


@cache
def interval_rank(count: int) -> int:
    """The j of `spread` for n samples; 0 where there are too few."""
    tail = (1 - CONFIDENCE) / 2 * 2**count
    return sum(cumulative <= tail for cumulative in accumulate(math.comb(count, below) for below in range(count)))
