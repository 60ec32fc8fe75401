"""Misbehaviour of processes that decode; forked processes import it by name."""

import os
import time
from multiprocessing.connection import Connection

import numpy as np

from bench.video import decoding


def spin(pipe: Connection, name: str, sampling: str) -> None:
    """Compute without end, under the limits of a file of no size."""
    decoding._Limits(1)
    while True:
        pass


def stall(pipe: Connection, name: str, sampling: str) -> None:
    """Compute without end or sign of life, under the limits of a large file."""
    vars(decoding)["STALLED"] = 1
    decoding._Limits(3600)
    while True:
        pass


def hasten(pipe: Connection, name: str, sampling: str) -> None:
    """Decode, and look earlier at how long it will take."""
    vars(decoding)["FORESEEN"] = 0.2
    decoding._work(pipe, name, sampling)


def sleep(pipe: Connection, name: str, sampling: str) -> None:
    """Wait without end."""
    time.sleep(1000)


def crash(pipe: Connection, name: str, sampling: str) -> None:
    """End as a library does that finds its memory damaged."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.abort()


def lie(pipe: Connection, name: str, sampling: str) -> None:
    """Answer what is no answer."""
    pipe.send_bytes(b"\x80\x04.")


def hoard(pipe: Connection, name: str, sampling: str) -> None:
    """Take more memory than decoding may, in the middle of it."""

    def read_clip(*_: object) -> None:
        np.ones(decoding.MEMORY + 2**24, np.uint8)

    vars(decoding)["read_clip"] = read_clip
    decoding._work(pipe, name, sampling)
