"""The process of an isolated run, its messages to the parent, and its end with the parent."""

import faulthandler
import fcntl
import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict

from bench.base import streams
from bench.base.progress import Progress, Stopped
from bench.base.progress import Task as ShownTask
from bench.learning import residency
from bench.running.one_run import do_run, fit_context
from bench.running.plan import found_again
from bench.running.stopping import StopRequest
from bench.running.storage import StorageError
from bench.store.leases import Claim
from bench.store.record import RunSpec
from bench.store.store import Store

Outcome = Literal["stored", "lost", "stopped", "unwritable"]
STOP = b"stop"
INTERVAL = 0.1
"""The minimum of seconds between two messages on the steps of a task."""


class Task(BaseModel):
    """A run with everything that another process needs to do it."""

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


class Messenger:
    """The child's side: sends its progress and messages to the parent."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        """`send` raises OSError if the parent has ended."""
        self._send = send

    def send(self, **message: Any) -> None:
        """Send a message to the parent; end this process if the parent has ended."""
        try:
            self._send(json.dumps(message).encode())
        except OSError:
            os._exit(1)

    def say(self, line: str) -> None:
        """Send a line to be shown."""
        self.send(say=line)

    @contextmanager
    def task(self, description: str, steps: int) -> Iterator["Steps"]:
        """Report a task with this number of steps; see `bench.base.progress.Progress`."""
        self.send(task=description, steps=steps)
        reported = Steps(self)
        yield reported
        reported.flush()


class Steps:
    """Steps of a task, reported to the parent a few times a second."""

    def __init__(self, messenger: Messenger) -> None:
        self._messenger, self._pending, self._status, self._last = messenger, 0, "", time.monotonic()

    def advance(self, status: str = "") -> None:
        """Count one step as done."""
        self._pending, self._status = self._pending + 1, status
        if time.monotonic() - self._last >= INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Report the steps since the last report."""
        self._messenger.send(advance=self._pending, status=self._status)
        self._pending, self._last = 0, time.monotonic()


class Relay:
    """The parent's side: shows a child's progress and messages. As a context manager it ends the last task."""

    def __init__(self, progress: Progress, say: Callable[[str], None]) -> None:
        self._progress, self._say, self._open = progress, say, ExitStack()
        self._task: ShownTask | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def receive(self, message: dict[str, Any]) -> None:
        """Show one message; those on other matters are ignored."""
        if "say" in message:
            self._say(message["say"])
        elif "task" in message:
            self._open.close()
            self._task = self._open.enter_context(self._progress.task(message["task"], message["steps"]))
        elif "advance" in message and self._task is not None:
            for _ in range(message["advance"]):
                self._task.advance(message["status"])


def end_with_parent() -> None:
    """Have Linux kill this process's group, of which it is the leader, when the command's process ends.

    A thread cannot do this while a method holds the interpreter's lock. A child of a fork server has a pipe whose other
    end only the command's process holds (`multiprocessing.parent_process().sentinel`). When that closes, for whatever
    reason, the kernel sends the signal. `PR_SET_PDEATHSIG` would refer to the fork server, which lives as long as the
    child does. Other systems rely on the thread alone.
    """
    parent = multiprocessing.parent_process()
    if sys.platform != "linux" or parent is None:
        return
    sentinel = parent.sentinel
    fcntl.fcntl(sentinel, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(sentinel, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)
    # The parent may have died before this was set up.
    if connection.wait([sentinel], 0):
        os.killpg(0, signal.SIGKILL)


def work(connection: Connection, task: str, output: Path) -> None:
    """Do the run of a task (JSON), with messages over the connection; standard output and error go to `output`."""
    # With a process group of its own, all its children can be killed with it, and Ctrl-C reaches only the parent.
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    streams.prepare()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable()
    stop = StopRequest()
    threading.Thread(target=_listen, args=(connection, stop), name="parent", daemon=True).start()
    messenger = Messenger(connection.send_bytes)
    try:
        outcome, reason = _do(Task.model_validate_json(task), messenger, stop), ""
    except Stopped as stopped:
        outcome, reason = "stopped", str(stopped)
    except StorageError as error:
        outcome, reason = "unwritable", error.why
    messenger.send(outcome=outcome, reason=reason)


def _do(task: Task, messenger: Messenger, stop: StopRequest) -> str:
    if task.threads:
        torch.set_num_threads(task.threads)
    # Runs may measure the free memory at the same moment, so each takes only its share.
    residency.DEVICE_SHARE /= task.device_jobs
    residency.MEMORY_SHARE /= task.jobs
    run = found_again(task.spec, task.dataset, task.plugins, task.data_root)
    store = Store(task.results, messenger.say)
    context = fit_context(store, run, torch.device(task.device), messenger, messenger.say, stop)
    stored = do_run(run, run.source.load(), store, context, lambda: task.claim.held, isolated=True)
    return "lost" if stored is None else "stored"


def _listen(connection: Connection, stop: StopRequest) -> None:
    try:
        while connection.recv_bytes() == STOP:
            stop.asked = True
    except (EOFError, OSError):
        # The parent has ended: kill this process with all its children.
        os.killpg(0, signal.SIGKILL)
