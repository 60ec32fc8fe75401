"""Where within a network the time of encoding goes."""

import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn

REPEATS = 7
WARM_UP = 1
REST = "rest"


def time_modules(
    module: nn.Module,
    videos: Tensor,
    synchronise: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Milliseconds a video in each direct part of the module, for a batch `videos` (n, T, D), and in `rest`.

    Medians over repeats; a part that is called several times counts whole. `rest` is what passes between the parts. The
    clock is read when the device has finished, so that on a GPU the parts take longer alone than together.
    """
    rows: list[dict[str, float]] = []
    started: dict[str, float] = {}
    spent: dict[str, float] = defaultdict(float)

    def now() -> float:
        synchronise()
        return clock()

    def begin(name: str, *_: Any) -> None:
        started[name] = now()

    def end(name: str, *_: Any) -> None:
        spent[name] += now() - started[name]

    hooks = []
    for name, part in module.named_children():
        hooks.append(part.register_forward_pre_hook(partial(begin, name)))
        hooks.append(part.register_forward_hook(partial(end, name)))
    try:
        for _ in range(WARM_UP + REPEATS):
            spent.clear()
            start = now()
            module(videos)
            whole = now() - start
            rows.append({**spent, REST: whole - sum(spent.values())})
    finally:
        for hook in hooks:
            hook.remove()
    measured = rows[WARM_UP:]
    return {name: float(np.median([row[name] for row in measured])) * 1000 / len(videos) for name in measured[0]}
