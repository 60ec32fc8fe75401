"""Figures in units of kernels, on a made-up clock."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks import calibration
from tests.benchmarks.calibration import KERNELS, normalised, processor_seconds, slowed, time_kernels

positive = st.floats(0.001, 1000)


@dataclass
class MachineClock:
    """A clock that work moves forward; every look at it costs a little."""

    now: float = 0.0

    def __call__(self) -> float:
        self.now += 1e-4
        return self.now

    def work(self, seconds: float) -> Callable[[], None]:
        def pass_time() -> None:
            self.now += seconds

        return pass_time


def test_the_ratio_by_hand() -> None:
    """Around the calls the kernels take √(1·4) = 2, √(4·1) = 2 and √(1·1) = 1: ratios 3, 5 and 4."""
    assert normalised([6, 10, 4], [1, 4, 1, 1]) == pytest.approx(4)


@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=20), positive)
def test_a_machine_that_is_slower_throughout_gives_the_same_figure(times: list[tuple[float, float]], by: float) -> None:
    work, kernels = [time for time, _ in times], [time for _, time in times] + [1.0]
    slow = normalised([by * time for time in work], [by * time for time in kernels])
    assert slow == pytest.approx(normalised(work, kernels))


def test_drift_cancels() -> None:
    """A machine that slows down steadily, sixfold in the end: by 1 % a step the figure stays that of a steady one."""
    speed = 1.01 ** np.arange(181)
    kernels, work = speed[::2], 7 * speed[1::2]
    assert normalised(list(work), list(kernels)) == pytest.approx(7)


def test_a_slow_moment_does_not_matter() -> None:
    kernels, work = np.ones(21), np.full(20, 3.0)
    work[4:9] *= 10
    kernels[12:15] *= 10
    assert normalised(list(work), list(kernels)) == pytest.approx(3)


def test_kernels_count_by_their_geometric_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = MachineClock()
    monkeypatch.setattr(calibration, "KERNELS", {"one": clock.work(2), "other": clock.work(8), "third": clock.work(99)})
    assert time_kernels(["one", "other"], clock) == pytest.approx(4, rel=1e-3)


@given(st.floats(0.01, 5), st.floats(0, 2))
def test_slowed_work_takes_so_much_longer(seconds: float, share: float) -> None:
    clock = MachineClock()
    slowed(clock.work(seconds), share, clock)()
    assert clock.now == pytest.approx(seconds * (1 + share), abs=2e-3)


def test_processor_time_does_not_pass_while_nothing_is_done() -> None:
    """Waiting for input that never comes leaves it as it is, apart from the call; working moves it."""
    import select

    start = processor_seconds()
    select.select([], [], [], 0.2)
    waited = processor_seconds() - start
    for kernel in KERNELS.values():
        for _ in range(5):
            kernel()
    worked = processor_seconds() - start - waited
    assert waited < worked
