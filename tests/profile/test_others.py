"""The share of the machine that others take, by hand; and that of a process that really takes a core."""

import subprocess
import sys

import pytest

from bench.profile.machine import Others, Seconds, read_seconds


@pytest.mark.parametrize(
    ("busy", "own", "share"),
    [
        (20.0, 20.0, 0.0),
        (15.0, 10.0, 0.125),
        (40.0, 0.0, 1.0),
        # The clocks of the machine and of the process tick apart.
        (9.99, 10.0, 0.0),
        (40.5, 0.0, 1.0),
    ],
)
def test_the_share_of_ten_seconds_on_four_cores(busy: float, own: float, share: float) -> None:
    readings = iter([Seconds(100.0, 500.0, 50.0, 4), Seconds(110.0, 500.0 + busy, 50.0 + own, 4)])
    assert Others(lambda: next(readings)).share() == pytest.approx(share)


def test_no_time_has_passed() -> None:
    assert Others(lambda: Seconds(1.0, 2.0, 1.0, 2)).share() == 0.0


def test_another_process_counts_and_this_one_does_not() -> None:
    before = read_seconds()
    code = "import time\nwhile time.process_time() < 1: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    after = read_seconds()
    # A child that was waited for is this process's own.
    assert after.own - before.own >= 0.9
    assert after.busy - before.busy >= 0.9
