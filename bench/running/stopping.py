"""Stop requests: the first lets runs save their state, the second ends them at once."""

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

NOTE = b"stopping after this epoch, with its state saved; once more: at once, without\n"


@dataclass
class StopRequest:
    """What somebody asked for. Called, it says whether to stop at the next point from where work can go on."""

    asked: bool = False
    at_once: bool = False

    def __call__(self) -> bool:
        return self.asked


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """While open, all of these signals raise KeyboardInterrupt, as SIGINT does; in the main thread alone."""
    with _handled(signal.default_int_handler):
        yield


@contextmanager
def listening() -> Iterator[StopRequest]:
    """While open, a first signal asks to stop, and a second SIGINT or SIGTERM raises KeyboardInterrupt.

    Only the main thread can listen; in another one nothing is ever asked for.
    """
    request = StopRequest()

    def heard(number: int, frame: FrameType | None) -> None:
        if request.asked:
            if number == signal.SIGHUP:  # which comes twice, from the shell and from the system
                return
            request.at_once = True
            raise KeyboardInterrupt
        request.asked = True
        # Whatever the signal interrupted may be writing to sys.stderr, which cannot be entered twice.
        with suppress(OSError):  # the terminal may be gone
            os.write(2, NOTE)

    with _handled(heard):
        yield request


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """While open, the signals go there; a SIGHUP that is ignored (`nohup`) stays so."""
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
