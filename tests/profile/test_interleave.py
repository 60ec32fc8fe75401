"""Taking turns, on a fake clock."""

from collections.abc import Callable
from itertools import chain, repeat
from typing import NoReturn

import pytest

from bench.profile.timing import MAX_ROUNDS, MIN_ROUNDS, HostStopwatch, interleave, warm_up

from .fakes import FakeClock


def test_warm_up_lasts_until_times_settle() -> None:
    clock = FakeClock()
    falling = chain([1.0, 0.5, 0.3, 0.2, 0.2, 0.2, 0.2], repeat(0.1))
    # 1.0, 0.5, 0.3: three calls, and longer than warming up may take.
    assert warm_up(clock.work(falling), HostStopwatch(clock)) == pytest.approx(0.3)
    short = chain([0.010, 0.005, 0.003, 0.002, 0.002, 0.002], repeat(0.001))
    assert warm_up(clock.work(short), HostStopwatch(clock)) == pytest.approx(0.002)
    assert next(short) == 0.001


def test_warm_up_is_not_measured() -> None:
    clock = FakeClock()
    works = {"slow start": clock.work(chain([0.040, 0.020, 0.010, 0.010, 0.010], repeat(0.010)))}
    samples, _ = interleave(works, HostStopwatch(clock), 10)
    assert samples["slow start"] == pytest.approx([0.010] * 10)


def test_works_take_turns_so_that_drift_hits_all_alike() -> None:
    clock = FakeClock()
    order: list[str] = []

    def drifting(name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            order.append(name)
            clock.now += seconds * (1 + 0.05 * len(order))  # the machine becomes slower and slower

        return run

    works = {name: drifting(name, seconds) for name, seconds in (("a", 0.01), ("b", 0.02), ("c", 0.04))}
    samples, _ = interleave(works, HostStopwatch(clock), 1.0)
    rounds = len(samples["a"])
    assert order[-3 * rounds :] == ["a", "b", "c"] * rounds
    medians = [sorted(samples[name])[rounds // 2] for name in "abc"]
    assert medians[1] / medians[0] == pytest.approx(2, rel=0.05)
    assert medians[2] / medians[0] == pytest.approx(4, rel=0.05)


def test_short_work_is_called_once_before_it_is_measured() -> None:
    clock = FakeClock()
    calls = {"short": 0, "long": 0}

    def counted(name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            calls[name] += 1
            clock.now += seconds

        return run

    works = {"short": counted("short", 0.001), "long": counted("long", 0.010)}
    samples, _ = interleave(works, HostStopwatch(clock), 10)
    warm = 3
    assert calls == {"short": warm + 2 * len(samples["short"]), "long": warm + len(samples["long"])}


def test_measuring_ends_when_medians_are_known_or_time_is_up() -> None:
    clock = FakeClock()
    steady, _ = interleave({"steady": clock.steady(0.01)}, HostStopwatch(clock), 1000)
    assert len(steady["steady"]) == 10
    swinging = chain.from_iterable(repeat([0.01, 0.03]))
    noisy, _ = interleave({"noisy": clock.work(swinging)}, HostStopwatch(clock), 2.0)
    assert sum(noisy["noisy"]) == pytest.approx(2.0, abs=0.03)
    wild, _ = interleave({"wild": clock.work(chain.from_iterable(repeat([1e-4, 3e-4])))}, HostStopwatch(clock), 1000)
    assert len(wild["wild"]) <= MAX_ROUNDS
    few, _ = interleave({"few": clock.work(chain.from_iterable(repeat([1.0, 3.0])))}, HostStopwatch(clock), 5.0)
    assert len(few["few"]) == MIN_ROUNDS
    slow, _ = interleave({"slow": clock.steady(10.0)}, HostStopwatch(clock), 5.0)
    assert len(slow["slow"]) == 2  # patience ends before the fewest rounds do


def test_a_failing_work_leaves_the_others_alone() -> None:
    clock = FakeClock()

    def broken() -> NoReturn:
        raise RuntimeError("no such kernel")

    samples, failed = interleave({"a": clock.steady(0.01), "b": broken}, HostStopwatch(clock), 1.0)
    assert set(samples) == {"a"}
    assert str(failed["b"]) == "no such kernel"
    assert interleave({"b": broken}, HostStopwatch(clock), 1.0)[0] == {}
