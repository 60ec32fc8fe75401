"""Reading the clock only when the device has finished."""

import time
from collections.abc import Callable
from typing import Any, Protocol

import torch

Work = Callable[[], object]


class Stopwatch(Protocol):
    """Times one piece of work."""

    def __call__(self, work: Work) -> float:
        """Seconds that `work` takes, until the device has finished it."""


class HostStopwatch:
    """The processor's clock, read after `synchronise` before and after the work."""

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
    """The CUDA device's own clock: events around the work in its stream, read when the device has finished."""

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
