"""News: what a command tells beside its results."""

import sys
from contextlib import suppress

from bench.text import one_line


def say(line: str) -> None:
    """One line of news on standard error; what files say in it is made harmless for terminals."""
    if sys.stderr is not None:
        # In one piece: print would write the line and its end apart, and other threads speak as well.
        with suppress(OSError, ValueError):  # what nobody can hear must end no work
            sys.stderr.write(f"{one_line(line)}\n")
            sys.stderr.flush()
