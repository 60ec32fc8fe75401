"""Stop requests: after the first, runs save their state; the second ends them at once."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, the end of a job, the end of a terminal or a connection."""
NOTE = b"stopping after this epoch and saving its state; Ctrl-C again stops at once, without saving\n"


@dataclass
class StopRequest:
    """A request to stop. Calling it returns whether to stop at the next point from which the run can continue."""

    asked: bool = False
    at_once: bool = False

    def __call__(self) -> bool:
        return self.asked


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt on all of these signals, as on SIGINT; only in the main thread."""
    with _handled(signal.default_int_handler):
        yield


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Turn the first signal into a stop request; a second SIGINT or SIGTERM raises KeyboardInterrupt.

    Only the main thread receives signals; in other threads nothing is requested.
    """
    request = StopRequest()

    def heard(number: int, frame: FrameType | None) -> None:
        if request.asked:
            if number == signal.SIGHUP:  # sent twice, by the shell and by the system
                return
            request.at_once = True
            raise KeyboardInterrupt
        request.asked = True
        # The interrupted code may be writing to sys.stderr, which is not reentrant.
        with suppress(OSError):  # the terminal may be closed
            os.write(2, NOTE)

    with _handled(heard):
        yield request


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Install the handler while open; an ignored SIGHUP (`nohup`) stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hung_up = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    numbers = [number for number in SIGNALS if not (hung_up and number == signal.SIGHUP)]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
