"""How busy other programs keep the machine while something is measured: a repeated measurement cannot show it."""

import time
from collections.abc import Callable
from typing import NamedTuple

import psutil


class Seconds(NamedTuple):
    """Readings since some moment in the past."""

    wall: float
    busy: float
    """Processor time of all cores in which any program ran, or another virtual machine."""
    own: float
    """That of this process and its children."""
    cores: int


def read_seconds() -> Seconds:
    """The readings now."""
    machine, process = psutil.cpu_times(), psutil.Process().cpu_times()
    idle = machine.idle + getattr(machine, "iowait", 0.0)
    # Linux counts guests' time as user time as well.
    guests = getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)
    return Seconds(time.monotonic(), sum(machine) - idle - guests, sum(process[:4]), psutil.cpu_count() or 1)


class Others:
    """From its making on, the share of the machine's processor time that went to others than this process."""

    def __init__(self, read: Callable[[], Seconds] = read_seconds) -> None:
        self._read, self._start = read, read()

    def share(self) -> float:
        """0 to 1, as far as the system's clocks tell: they tick a hundred times a second."""
        now, start = self._read(), self._start
        there = (now.wall - start.wall) * now.cores
        taken = (now.busy - start.busy) - (now.own - start.own)
        return min(1.0, max(0.0, taken / there)) if there > 0 else 0.0
