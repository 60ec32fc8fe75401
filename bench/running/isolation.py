"""Isolated runs: each in its own process, watched and limited."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import connection as connections
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Protocol

import psutil
import torch

from bench.base.errors import InputError
from bench.base.progress import Progress, Stopped
from bench.base.text import duration
from bench.running.failures import store_failed
from bench.running.forking import run_context
from bench.running.one_run import new_record
from bench.running.plan import PlannedRun
from bench.running.queue import Job
from bench.running.stopping import StopRequest
from bench.running.storage import StorageError
from bench.running.worker import STOP, Outcome, Relay, Task, work
from bench.store.leases import Claim
from bench.store.record import Status
from bench.store.store import Store
from bench.store.stored_run import StoredRun

POLL_SECONDS = 0.1
RAISE_LIMIT = "raise the limit, and try again with --existing retry-failed"
KEPT_OUTPUT = 10_000
"""Characters kept of what a process printed before it died: the last ones."""


class Executor(Protocol):
    """Does runs outside this process; each thread that calls it does one at a time."""

    @property
    def jobs(self) -> int:
        """The number of runs at a time."""

    def do(self, job: Job, progress: Progress, say: Callable[[str], None]) -> StoredRun | None:
        """Do a run and store it, done or failed. Returns None if the lease was lost.

        Raises:
            Stopped: a stop was requested; the training's state is saved, unless the stop was to be immediate.
            StorageError: the results folder cannot be written.
        """


class ExecutorFactory(Protocol):
    """Makes the executor of a sweep, from settings such as limits or the address of a cluster."""

    def executor(
        self, store: Store, device: torch.device, stop: StopRequest, runs: Sequence[PlannedRun]
    ) -> AbstractContextManager[Executor | None]:
        """An executor for these runs, usable while the context is open; None: they are to be done in this process.

        Raises InputError if it cannot do them.
        """


@dataclass(frozen=True)
class Isolation:
    """Settings of isolated runs; a factory of executors on this machine."""

    plugins: Sequence[Path] = ()
    """The files and folders that the registry was loaded with."""
    data_root: Path | None = None
    jobs: int = 1
    """Runs at a time."""
    threads: int | None = None
    """Threads per run; None: torch's default."""
    time_limit: float | None = None
    """Seconds per run."""
    memory_limit: int | None = None
    """Bytes of resident memory per run, its child processes included."""
    device_jobs: int | None = None
    """Runs that share the device; None: all that run at a time."""

    def executor(
        self, store: Store, device: torch.device, stop: StopRequest, runs: Sequence[PlannedRun]
    ) -> AbstractContextManager["Executor"]:
        """Processes of this machine; see `ExecutorFactory`."""
        return nullcontext(IsolatedRuns(store, device, stop, self))


@dataclass(frozen=True)
class Death:
    """The status and reason of a run whose process ended without a result."""

    status: Status
    reason: str


@dataclass
class IsolatedRuns:
    """Does each run in its own process, within the limits; an `Executor`."""

    store: Store
    device: torch.device
    stop: StopRequest
    rules: Isolation

    @property
    def jobs(self) -> int:
        return self.rules.jobs

    @cached_property
    def context(self) -> ForkServerContext:
        """The context that starts processes, forked from one that has imported all that runs need."""
        return run_context(self.rules.threads)

    def can_start(self) -> bool:
        """Whether processes can be started here."""
        try:
            return self.context is not None
        except (OSError, EOFError):
            return False

    def do(self, job: Job, progress: Progress, say: Callable[[str], None]) -> StoredRun | None:
        """Do a run, see `Executor`; if its process dies, the run is stored as failed, with how it died."""
        return self.do_claimed(job.run, job.lease.claim, progress, say)

    def do_claimed(
        self, run: PlannedRun, claim: Claim, progress: Progress, say: Callable[[str], None]
    ) -> StoredRun | None:
        """Do a run under a lease that another process may hold."""
        before = self.store.find(run.spec)
        record = new_record(run, self.device)
        folder = self.store.training_folder(run.spec)
        folder.mkdir(parents=True, exist_ok=True)
        output = folder / "output.txt"
        output.unlink(missing_ok=True)
        start = time.monotonic()
        with self._started(run, claim, output) as (process, ours):
            watch = Watch(self.rules, self.stop, process, ours, progress, say)
            death = watch.until_the_end()
        # A request to stop may have gone to all processes of a job; this one then ended without a message.
        if watch.outcome == "stopped" or (self.stop.asked and watch.outcome is None):
            raise Stopped(watch.reason)
        if watch.outcome == "unwritable":
            raise StorageError(self.store.root, watch.reason)
        if watch.outcome == "lost":
            return None
        stored = self.store.find(run.spec)
        if stored is not None and stored != before:
            return stored
        printed = output.read_text(encoding="utf-8", errors="replace")[-KEPT_OUTPUT:] if output.exists() else ""
        failed = record.model_copy(
            update={
                "status": death.status,
                "reason": death.reason,
                # The key that records have had from the first version on.
                "durations": {"apart": round(time.monotonic() - start, 3)},
                "environment": {**record.environment, "threads": self.rules.threads or torch.get_num_threads()},
            }
        )
        return store_failed(self.store, run, failed, f"{printed}\n{death.reason}", lambda: claim.held)

    @contextmanager
    def _started(self, run: PlannedRun, claim: Claim, output: Path) -> Iterator[tuple[ForkServerProcess, Connection]]:
        task = Task(
            spec=run.spec,
            dataset=run.dataset,
            data_root=self.rules.data_root,
            plugins=list(self.rules.plugins),
            results=self.store.root,
            device=str(self.device),
            jobs=self.rules.jobs,
            device_jobs=self.rules.device_jobs or self.rules.jobs,
            threads=self.rules.threads,
            claim=claim,
        )
        try:
            ours, theirs = self.context.Pipe()
            arguments = (theirs, task.model_dump_json(), output)
            process = self.context.Process(target=work, args=arguments, name=run.spec.folder)
            process.start()
        except (OSError, EOFError) as error:
            raise InputError(
                f"cannot start processes for runs ({error or 'the first one ended at once'}); raise the limits on "
                "processes and open files (ulimit -u, -n), or do runs in this process: --jobs 1, without --isolate and "
                "limits of runs"
            ) from error
        theirs.close()
        try:
            yield process, ours
        finally:
            kill(process)
            process.join()
            ours.close()


class Watch:
    """A run's process while it works: passes its messages on and enforces the limits."""

    def __init__(
        self,
        rules: Isolation,
        stop: StopRequest,
        process: ForkServerProcess,
        ours: Connection,
        progress: Progress,
        say: Callable[[str], None],
    ) -> None:
        self._rules, self._stop, self._process, self._ours = rules, stop, process, ours
        self._relay, self._start = Relay(progress, say), time.monotonic()
        self._stop_sent = False
        self.outcome: Outcome | None = None
        """As the process reported it; None if it did not."""
        self.reason = ""

    def until_the_end(self) -> Death:
        """Watch until the process is done, dead or over a limit. The result matters only if nothing was stored."""
        with self._relay:
            while True:
                ready = connections.wait([self._ours, self._process.sentinel], POLL_SECONDS)
                open_still = self._ours not in ready or self._receive()
                if self.outcome is not None:
                    return Death("failed", "")
                if not open_still or self._process.sentinel in ready:
                    self._process.join()
                    while self._ours.poll() and self._receive():
                        pass
                    return Death("failed", _cause_of_death(self._process.exitcode))
                if self._stop.at_once:
                    return Death("failed", "ended on request")
                if self._stop.asked and not self._stop_sent:
                    self._stop_sent = True
                    with suppress(OSError):
                        self._ours.send_bytes(STOP)
                over = self._over_limit()
                if over is not None:
                    return over

    def _receive(self) -> bool:
        """Pass one message on. Returns False if the connection is closed."""
        try:
            message = json.loads(self._ours.recv_bytes())
        except (EOFError, OSError):
            return False
        if "outcome" in message:
            self.outcome, self.reason = message["outcome"], message["reason"]
        else:
            self._relay.receive(message)
        return True

    def _over_limit(self) -> Death | None:
        time_limit, memory_limit = self._rules.time_limit, self._rules.memory_limit
        if time_limit is not None and time.monotonic() - self._start > time_limit:
            return Death("timeout", f"not done after {duration(time_limit)} (--time-limit); {RAISE_LIMIT}")
        if memory_limit is not None and resident(self._process.pid) > memory_limit:
            return Death("failed", f"more than {memory_limit / 1e9:.3g} GB of memory (--memory-limit); {RAISE_LIMIT}")
        return None


def resident(process: int | None) -> int:
    """Bytes of resident memory of a process and its descendants; 0 if it has ended."""
    total = 0
    with suppress(psutil.Error):
        root = psutil.Process(process)
        for member in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                total += member.memory_info().rss
    return total


def kill(process: ForkServerProcess) -> None:
    """Kill a process and its process group."""
    if process.pid is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _cause_of_death(status: int | None) -> str:
    """The cause of a process's end, from its exit status: negative ones are signals."""
    known = {
        signal.SIGKILL: "killed by signal 9 (out of memory?)",
        signal.SIGSEGV: "segmentation fault (signal 11)",
        signal.SIGABRT: "aborted (signal 6)",
    }
    if status is None or status >= 0:
        return f"its process ended without a result, with exit status {status}"
    return known.get(-status) or f"killed by signal {-status}"  # type: ignore[call-overload]
