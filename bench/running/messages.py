"""What a process that does one run apart is told, and what it tells: lines of JSON between it and its parent."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict

from bench.context import Progress
from bench.context import Task as ShownTask
from bench.leases import Claim
from bench.spec import RunSpec

Outcome = Literal["stored", "lost", "stopped", "unwritable"]
STOP = b"stop"
INTERVAL = 0.1
"""Seconds between two messages on the steps of a task, at least."""


class Task(BaseModel):
    """One run, with all that another process needs to do it."""

    model_config = ConfigDict(frozen=True)

    spec: RunSpec
    dataset: str
    data_root: Path | None
    plugins: list[Path]
    results: Path
    device: str
    jobs: int
    device_jobs: int
    threads: int | None
    claim: Claim


class Sender(Protocol):
    """What carries messages to the parent: a connection."""

    def send_bytes(self, message: bytes, /) -> None:
        """Send one; OSError if nobody is there."""


class Messenger:
    """The child's side: its progress and news, sent to the parent."""

    def __init__(self, connection: Sender) -> None:
        self._connection = connection

    def send(self, **message: Any) -> None:
        """Tell the parent; without one there is nobody to work for."""
        try:
            self._connection.send_bytes(json.dumps(message).encode())
        except OSError:
            os._exit(1)

    def say(self, line: str) -> None:
        """News in a line."""
        self.send(say=line)

    @contextmanager
    def task(self, description: str, steps: int) -> Iterator["Steps"]:
        """A task of so many steps, as `bench.context.Progress` has it."""
        self.send(task=description, steps=steps)
        told = Steps(self)
        yield told
        told.tell()


class Steps:
    """Steps of a task, told to the parent a few times a second."""

    def __init__(self, messenger: Messenger) -> None:
        self._messenger, self._untold, self._status, self._last = messenger, 0, "", time.monotonic()

    def advance(self, status: str = "") -> None:
        """One step done."""
        self._untold, self._status = self._untold + 1, status
        if time.monotonic() - self._last >= INTERVAL:
            self.tell()

    def tell(self) -> None:
        """Tell the parent of the steps since the last time."""
        self._messenger.send(advance=self._untold, status=self._status)
        self._untold, self._last = 0, time.monotonic()


class Relay:
    """The parent's side: passes on what a child tells of its progress; a context that ends the last task with it."""

    def __init__(self, progress: Progress, say: Callable[[str], None]) -> None:
        self._progress, self._say, self._open = progress, say, ExitStack()
        self._task: ShownTask | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def hear(self, message: dict[str, Any]) -> None:
        """Pass one message on; those that are no progress are left alone."""
        if "say" in message:
            self._say(message["say"])
        elif "task" in message:
            self._open.close()
            self._task = self._open.enter_context(self._progress.task(message["task"], message["steps"]))
        elif "advance" in message and self._task is not None:
            for _ in range(message["advance"]):
                self._task.advance(message["status"])
