"""Encoding time: warmed up, synchronised with the device, repeated, without data loading."""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from bench.record import Timing

WARM_UP_SECONDS = 0.1
MEASURE_SECONDS = 0.5
MIN_REPEATS = 5
MAX_REPEATS = 1000


def time_encoding(
    module: nn.Module,
    videos: Tensor,
    clock: Callable[[], float] = time.perf_counter,
    synchronise: Callable[[], None] | None = None,
) -> Timing:
    """Milliseconds a video of encoding `videos` (n, T, D), already on the module's device, in one batch.

    The clock is read when the device has finished, before and after; the first calls are not counted.
    """
    wait = synchronise or _synchroniser(videos.device)

    def once() -> float:
        wait()
        start = clock()
        module(videos)
        wait()
        return clock() - start

    with torch.inference_mode():
        spent, calls = 0.0, 0
        while spent < WARM_UP_SECONDS and calls < MAX_REPEATS:
            spent += once()
            calls += 1
        measured: list[float] = []
        while len(measured) < MIN_REPEATS or (sum(measured) < MEASURE_SECONDS and len(measured) < MAX_REPEATS):
            measured.append(once())
    lower, median, upper = np.quantile(np.array(measured) * 1000 / len(videos), [0.25, 0.5, 0.75])
    return Timing(
        batch=len(videos),
        repeats=len(measured),
        median_ms=float(median),
        lower_ms=float(lower),
        upper_ms=float(upper),
    )


def _synchroniser(device: torch.device) -> Callable[[], None]:
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None
