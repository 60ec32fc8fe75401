"""Progress of long work, on a terminal or silent, and the exception for work stopped on request."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress


class Task(Protocol):
    """A piece of long work that reports its steps."""

    def advance(self, status: str = "") -> None:
        """Count one step as done; show `status` beside the bar."""


class Progress(Protocol):
    """A display of long work."""

    def task(self, description: str, steps: int) -> AbstractContextManager[Task]:
        """A task of `steps` steps, shown while the context is open."""


class Stopped(KeyboardInterrupt):
    """Training ended before its last epoch on request; its state is saved."""


class _SilentTask:
    def advance(self, status: str = "") -> None:
        pass


class SilentProgress:
    """A display that shows nothing."""

    def task(self, description: str, steps: int) -> AbstractContextManager[Task]:
        return nullcontext(_SilentTask())


class TerminalProgress:
    """A bar with the remaining time for every task, removed when the task is done."""

    @contextmanager
    def task(self, description: str, steps: int) -> Iterator[Task]:
        """A bar of `steps` steps."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=Console(stderr=True), transient=True) as bars:
            number = bars.add_task(description, total=steps, status="")
            yield _Bar(bars, number)


class _Bar:
    def __init__(self, bars: RichProgress, number: int) -> None:
        self._bars, self._number = bars, number

    def advance(self, status: str = "") -> None:
        # rich's task ids are a NewType of int
        self._bars.update(self._number, advance=1, status=status)  # type: ignore[arg-type]


def progress() -> Progress:
    """Bars where standard error is a terminal, silence elsewhere."""
    return TerminalProgress() if sys.stderr.isatty() else SilentProgress()
