"""Display of a sweep: the progress of every active run, and the remaining time."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from bench.base.progress import Progress, SilentProgress, Task
from bench.base.text import duration

EVERY_SECONDS = 30.0
"""Time between two lines of a log on an active run."""
TICK_SECONDS = 5.0


class SweepDisplay(Protocol):
    """Shows the runs of a sweep; several may be active."""

    def sweep(self) -> AbstractContextManager[None]:
        """A context that is open while runs are done."""

    def run(self, label: str) -> AbstractContextManager[Progress]:
        """The progress of one run, which is active while the context is open."""

    def overall(self, done: int, total: int, left: float | None) -> None:
        """Show the number of finished runs and the seconds left, None if unknown."""


class SilentDisplay:
    """Shows nothing."""

    def sweep(self) -> AbstractContextManager[None]:
        return nullcontext()

    def run(self, label: str) -> AbstractContextManager[Progress]:
        return nullcontext(SilentProgress())

    def overall(self, done: int, total: int, left: float | None) -> None:
        pass


@dataclass
class LogDisplay:
    """Plain lines: when a run starts, and every half minute its progress, or only that it is still active."""

    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _last: float | None = None
    _runs: dict[str, "_LogRun"] = field(default_factory=dict)

    @contextmanager
    def sweep(self) -> Iterator[None]:
        ended = threading.Event()
        # Some methods work for long without reporting steps.
        ticking = threading.Thread(target=self._tick, args=(ended,), name="log", daemon=True)
        with suppress(RuntimeError):  # without a thread they stay silent
            ticking.start()
        try:
            yield
        finally:
            ended.set()
            if ticking.is_alive():
                ticking.join()

    @contextmanager
    def run(self, label: str) -> Iterator[Progress]:
        self.say(f"{label}: started")
        run = self._runs[label] = _LogRun(self, label, self.clock())
        try:
            yield run
        finally:
            del self._runs[label]

    def _tick(self, ended: threading.Event) -> None:
        while not ended.wait(TICK_SECONDS):
            for run in list(self._runs.values()):
                run.break_silence()

    def overall(self, done: int, total: int, left: float | None) -> None:
        if self._last is None or self.clock() - self._last >= EVERY_SECONDS:
            self._last = self.clock()
            self.say(overall_line(done, total, left))


@dataclass
class _LogRun:
    log: LogDisplay
    label: str
    start: float
    last: float = field(init=False)
    description: str = ""
    steps: int = 0
    done: int = 0

    def __post_init__(self) -> None:
        self.last = self.start

    def task(self, description: str, steps: int) -> AbstractContextManager[Task]:
        self.description, self.steps, self.done = description, steps, 0
        return nullcontext(self)

    def advance(self, status: str = "") -> None:
        self.done += 1
        if self.log.clock() - self.last >= EVERY_SECONDS:
            self.last = self.log.clock()
            self.log.say(f"{self.label}: {self.description} {self.done}/{self.steps} {status}".rstrip())

    def break_silence(self) -> None:
        """Write a line if there was none for twice the usual time."""
        now = self.log.clock()
        if now - self.last >= 2 * EVERY_SECONDS:
            self.last = now
            self.log.say(f"{self.label}: running for {duration(now - self.start)}")


@dataclass
class TerminalDisplay:
    """Progress bars: one for the sweep, one for every active run."""

    bars: RichProgress = field(
        default_factory=lambda: RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
    )
    _all: TaskID | None = None

    @contextmanager
    def sweep(self) -> Iterator[None]:
        self._all = self.bars.add_task("all runs", total=None, status="")
        with self.bars:
            yield

    @contextmanager
    def run(self, label: str) -> Iterator[Progress]:
        bar = self.bars.add_task(label, total=None, status="")
        try:
            yield _TerminalRun(self.bars, bar)
        finally:
            self.bars.remove_task(bar)

    def overall(self, done: int, total: int, left: float | None) -> None:
        if self._all is not None:
            self.bars.update(self._all, completed=done, total=total, status=overall_line(done, total, left))


@dataclass
class _TerminalRun:
    bars: RichProgress
    bar: TaskID

    @contextmanager
    def task(self, description: str, steps: int) -> Iterator[Task]:
        self.bars.reset(self.bar, total=steps, status=description)
        yield self
        self.bars.reset(self.bar, total=None, status="")

    def advance(self, status: str = "") -> None:
        self.bars.update(self.bar, advance=1, status=status)


def overall_line(done: int, total: int, left: float | None) -> str:
    """`3 of 12 runs done, about 4 min 10 s left`."""
    rest = "" if left is None or done == total else f", about {duration(left)} left"
    return f"{done} of {total} runs done{rest}"


def sweep_display(say: Callable[[str], None]) -> SweepDisplay:
    """Progress bars if standard error is a terminal, else plain lines."""
    return TerminalDisplay() if sys.stderr.isatty() else LogDisplay(say)
