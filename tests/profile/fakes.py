"""A clock and a device that do what tests say."""

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import torch
from torch import Tensor, nn

TICK = 1e-9
"""Seconds between two looks at the fake clock at which nothing happens."""


class FakeClock:
    """Stands still but for ticks and for what fake work adds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += TICK
        return self.now

    def work(self, seconds: Iterator[float]) -> Callable[[], None]:
        """Work that takes the next of these seconds at every call."""

        def run() -> None:
            self.now += next(seconds)

        return run

    def steady(self, seconds: float) -> Callable[[], None]:
        return self.work(repeat(seconds))


class FakeDevice:
    """Notes what is asked of it, in order."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def note(self, what: str) -> Callable[..., Any]:
        return lambda *_: self.log.append(what)


class SlowNetwork(nn.Module):
    """(n, T, D) → (n, 4); takes `fixed` seconds a call and `each` a video on the fake clock."""

    def __init__(self, clock: FakeClock, fixed: float, each: float, dimensions: int = 8) -> None:
        super().__init__()
        self.project = nn.Linear(dimensions, 4)
        self._clock = clock
        self.fixed, self.each = fixed, each

    def forward(self, videos: Tensor) -> Tensor:
        self._clock.now += self.fixed + self.each * len(videos)
        projected: Tensor = self.project(videos.mean(dim=1))
        return torch.tanh(projected)
