"""Requests to stop: the first lets work reach a point from where it can go on, the second ends it at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
NOTE = b"stopping after this epoch, with its state saved; once more: at once, without\n"


@dataclass
class StopRequest:
    """What somebody asked for. Called, it says whether to stop at the next point from where work can go on."""

    asked: bool = False
    at_once: bool = False

    def __call__(self) -> bool:
        return self.asked


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """While open, SIGTERM raises KeyboardInterrupt, as SIGINT does; in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def listening() -> Iterator[StopRequest]:
    """While open, a first SIGINT or SIGTERM asks to stop, and a second raises KeyboardInterrupt.

    Only the main thread can listen; in another one nothing is ever asked for.
    """
    request = StopRequest()

    def heard(number: int, frame: FrameType | None) -> None:
        if request.asked:
            request.at_once = True
            raise KeyboardInterrupt
        request.asked = True
        # Whatever the signal interrupted may be writing to sys.stderr, which cannot be entered twice.
        os.write(2, NOTE)

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, heard) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
