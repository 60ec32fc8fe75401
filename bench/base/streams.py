"""Standard streams that may be closed, on a full disk, without a reader, or unable to encode a character."""

import io
import os
import sys
from typing import Any, TextIO


class _Descriptor(io.FileIO):
    """A descriptor that never fails: what cannot be written is dropped, and the first reason is kept."""

    lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.lost = self.lost or error
            return len(data)


def prepare() -> None:
    """Open missing standard streams, and make sure that no failure to write ends a run.

    Characters that an encoding lacks are replaced. Streams that were replaced by others, as in notebooks, stay.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one: no file may get it, and what is written to it.
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115  for as long as the process lives
    sys.stdout = _unfailing(sys.stdout, sys.__stdout__, "replace")
    sys.stderr = _unfailing(sys.stderr, sys.__stderr__, "backslashreplace")


def lost_output() -> OSError | None:
    """The error by which standard output was lost in whole or part; None if all was written."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.lost if isinstance(raw, _Descriptor) else None


def _unfailing(stream: TextIO | None, original: TextIO | None, errors: str) -> TextIO:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  for as long as the process lives
    if stream is not original or not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    raw = _Descriptor(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, errors, None, stream.line_buffering, stream.write_through
    )
