"""When clocks are read, on a fake device."""

from typing import Any

import pytest

from bench.profile.timing import EventStopwatch, HostStopwatch

from .fakes import FakeClock, FakeDevice


def test_the_device_has_finished_before_both_readings() -> None:
    device = FakeDevice()
    clock = FakeClock()

    def read() -> float:
        device.log.append("clock")
        return clock()

    def finish() -> None:
        # The device works on after the call returned: only waiting shows how long.
        device.log.append("wait")
        clock.now += 1.0

    assert HostStopwatch(read, finish)(device.note("work")) == pytest.approx(1.0)
    assert device.log == ["wait", "clock", "work", "wait", "clock"]


def test_events_surround_the_work_and_are_read_when_the_device_has_finished() -> None:
    device = FakeDevice()

    class Event:
        def record(self) -> None:
            device.log.append("record")

        def elapsed_time(self, end: Any) -> float:
            assert isinstance(end, Event)
            device.log.append("read")
            return 250.0  # milliseconds, as CUDA's events give them

    assert EventStopwatch(Event, device.note("wait"))(device.note("work")) == 0.25
    assert device.log == ["wait", "record", "work", "record", "wait", "read"]
