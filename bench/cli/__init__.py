"""The command line: verbs read options, call the library and print; heavy imports happen inside the verbs."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from types import FrameType

from bench.base import streams
from bench.base.errors import InputError

LONGEST_LINE = 2000
INTERRUPTED = "bench: interrupted; finished runs are stored, repeat the command to continue"
OUTPUT_CLOSED = 128 + 13
"""The exit status when the reader of standard output has closed it: 128 plus the number of SIGPIPE."""
NO_MORE = "the system starts no more processes or threads; raise the limit (ulimit -u), or use fewer --jobs"
FULL = "free some space, and repeat the command"
NO_THREAD = "can't start new thread"
"""Python's message, in a RuntimeError."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 runs failed, 2 wrong input, 130 interrupted."""
    streams.prepare()
    with _interruptible():
        status = _run(list(sys.argv[1:] if arguments is None else arguments))
    lost = streams.lost_output()
    if lost is None:
        return status
    if lost.errno == errno.EPIPE:
        return status or OUTPUT_CLOSED
    return status or _wrong(f"standard output cannot be written ({lost.strerror}); redirect it, and try again")


def _run(given: list[str]) -> int:
    # Long spinning of waiting threads slows everything down on a shared machine: ten times, on two busy cores. This
    # must be set before OpenMP is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    # Figures go to files; a notebook's backend may be set, but not installed here.
    os.environ["MPLBACKEND"] = "agg"
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    try:
        return _called(given)
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:
        # The parser raises Abort for an interrupt, but also for an end of file.
        cause = error.__cause__ if type(error).__name__ == "Abort" else error
        if isinstance(cause, KeyboardInterrupt):
            return _interrupted()
        message = None if debug else _message(cause)
        if message is None:
            raise
        return _wrong(message)


def _called(given: list[str]) -> int:
    if os.name != "posix":
        raise InputError("vhbench runs on Linux and macOS; on Windows, use WSL")
    try:
        os.getcwd()  # noqa: PTH109  as short as its error
    except OSError as error:
        raise InputError(f"the working folder cannot be used ({error.strerror}); change to another") from error
    from bench.cli.app import GROUPS, command  # noqa: PLC0415  here, so that Ctrl-C during imports ends in one line

    if given in GROUPS:
        with redirect_stdout(sys.stderr):
            command([*given, "--help"], prog_name="bench", standalone_mode=False)
        return 2
    status = command(given, prog_name="bench", standalone_mode=False)
    # The parser returns this status after an interrupt.
    return _interrupted() if status == 130 else int(status or 0)


def _message(error: BaseException | None) -> str | None:
    """The message for an error that is not a fault of this program; None if it may be one."""
    if isinstance(error, InputError):
        return str(error)
    if (isinstance(error, OSError) and error.errno == errno.EAGAIN and not error.filename) or str(error) == NO_THREAD:
        return NO_MORE
    if isinstance(error, MemoryError):
        return "there is not enough memory; free some, or use fewer --jobs"
    if isinstance(error, OSError):
        # The system refused a path: no permission, too long, no disk.
        why = error.strerror or str(error)
        if not error.filename:
            return why
        from bench.base.files import REASONS  # noqa: PLC0415  slower to import than `bench --help` should be

        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        return f"{error.filename}: {why}; {FULL if full else REASONS.get(error.errno or 0, 'name another')}"
    # Errors of the parser: versions of typer have the class in different places, but with the same interface.
    parsed = getattr(error, "format_message", None)
    return None if parsed is None else parsed() or "no command given; see bench --help"


@contextmanager
def _interruptible() -> Iterator[None]:
    """Exit at once if Ctrl-C interrupts an import, where KeyboardInterrupt may get lost or become another error."""

    def heard(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                with suppress(OSError):
                    os.write(2, f"{INTERRUPTED}\n".encode())
                os._exit(130)
            frame = frame.f_back
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupted() -> int:
    print(INTERRUPTED, file=sys.stderr)
    return 130


def _wrong(message: str) -> int:
    from bench.base.text import one_line  # noqa: PLC0415  slower to import than `bench --help` should be

    line = one_line(message)
    # A name of thousands of characters would hide the message.
    shown = line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} … {line[-LONGEST_LINE // 2 :]}"
    print(f"bench: {shown}", file=sys.stderr)
    return 2
