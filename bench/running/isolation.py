"""Isolated runs: each in a process of its own, watched and limited."""

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
from bench.running import worker as messages
from bench.running.failures import StorageError, store_failed
from bench.running.fork_context import fork_server_context
from bench.running.limits import duration
from bench.running.one_run import begun
from bench.running.plan import PlannedRun
from bench.running.queue import Job
from bench.running.stopping import StopRequest
from bench.running.worker import work
from bench.store.leases import Claim
from bench.store.record import Status
from bench.store.store import Store
from bench.store.stored_run import StoredRun

POLL_SECONDS = 0.1

MORE = "give it more, and try again with --existing retry-failed"

SAID_LAST = 10_000
"""Characters of what a process printed before it died that are kept."""


class Executor(Protocol):
    """Does runs elsewhere than in this process, several at a time if it is asked from as many threads."""

    @property
    def jobs(self) -> int:
        """Runs at a time."""

    def do(self, job: Job, progress: Progress, say: Callable[[str], None]) -> StoredRun | None:
        """Do a run and store it, done or failed; None if the lease was lost.

        Raises:
            Stopped: somebody asked to stop; the state of the run's training is saved, unless it was to end at once.
            StorageError: the results folder cannot be written.
        """


class Elsewhere(Protocol):
    """How runs are done elsewhere than in this process."""

    def executor(
        self, store: Store, device: torch.device, stop: StopRequest, runs: Sequence[PlannedRun]
    ) -> AbstractContextManager[Executor]:
        """What does these runs while the context is open. Raises InputError if it cannot."""


@dataclass(frozen=True)
class Isolation:
    """How runs are done in processes of their own."""

    plugins: Sequence[Path] = ()
    """The files and folders that the registry was loaded with."""
    data_root: Path | None = None
    jobs: int = 1
    """Runs at a time."""
    threads: int | None = None
    """Threads a run; None: what torch takes by default."""
    time_limit: float | None = None
    """Seconds a run may take."""
    memory_limit: int | None = None
    """Bytes a run may have resident, with all that it starts."""
    device_jobs: int | None = None
    """Runs that share the device; None: all that are done at a time."""

    def executor(
        self, store: Store, device: torch.device, stop: StopRequest, runs: Sequence[PlannedRun]
    ) -> AbstractContextManager["Executor"]:
        """As `Elsewhere` has it: processes of this machine."""
        return nullcontext(Apart(store, device, stop, self))


@dataclass(frozen=True)
class Death:
    """How a process ended that had nothing to tell any more."""

    status: Status
    reason: str


@dataclass
class Apart:
    """Does runs in processes of their own, at most as long and in as much memory as is allowed."""

    store: Store
    device: torch.device
    stop: StopRequest
    rules: Isolation

    @property
    def jobs(self) -> int:
        return self.rules.jobs

    @cached_property
    def context(self) -> ForkServerContext:
        """What starts processes."""
        return fork_server_context(self.rules.threads)

    def do(self, job: Job, progress: Progress, say: Callable[[str], None]) -> StoredRun | None:
        """As `Executor` has it; a process that dies is a row with how it died."""
        return self.do_claimed(job.run, job.lease.claim, progress, say)

    def do_claimed(
        self, run: PlannedRun, claim: Claim, progress: Progress, say: Callable[[str], None]
    ) -> StoredRun | None:
        """The same under a lease that another process may hold."""
        before = self.store.find(run.spec)
        record = begun(run, self.device)
        folder = self.store.training_folder(run.spec)
        folder.mkdir(parents=True, exist_ok=True)
        output = folder / "output.txt"
        output.unlink(missing_ok=True)
        start = time.monotonic()
        with self._started(run, claim, output) as (process, ours):
            watch = Watch(self.rules, self.stop, process, ours, progress, say)
            death = watch.until_the_end()
        # What ended without a word after a request to stop heard it too: it was meant for all of a job's processes.
        if watch.outcome == "stopped" or (self.stop.asked and watch.outcome is None):
            raise Stopped(watch.reason)
        if watch.outcome == "unwritable":
            raise StorageError(self.store.root, watch.reason)
        if watch.outcome == "lost":
            return None
        stored = self.store.find(run.spec)
        if stored is not None and stored != before:
            return stored
        last = output.read_text(encoding="utf-8", errors="replace")[-SAID_LAST:] if output.exists() else ""
        failed = record.model_copy(
            update={
                "status": death.status,
                "reason": death.reason,
                "durations": {"apart": round(time.monotonic() - start, 3)},
                "environment": {**record.environment, "threads": self.rules.threads or torch.get_num_threads()},
            }
        )
        return store_failed(self.store, run, failed, f"{last}\n{death.reason}", lambda: claim.held)

    @contextmanager
    def _started(self, run: PlannedRun, claim: Claim, output: Path) -> Iterator[tuple[ForkServerProcess, Connection]]:
        task = messages.Task(
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
                f"runs get no processes of their own ({error or 'the first one ended at once'}); raise the limits on "
                "processes and open files (ulimit -u, -n), or leave out --isolate, --jobs and limits"
            ) from error
        theirs.close()
        try:
            yield process, ours
        finally:
            end(process)
            process.join()
            ours.close()


class Watch:
    """One process under way: its messages are passed on, and its limits kept."""

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
        self._relay, self._start = messages.Relay(progress, say), time.monotonic()
        self._told_to_stop = False
        self.outcome: str | None = None
        self.reason = ""

    def until_the_end(self) -> Death:
        """Watch until the process is done, dead, or over a limit; how it ended."""
        with self._relay:
            while True:
                ready = connections.wait([self._ours, self._process.sentinel], POLL_SECONDS)
                alive = self._ours not in ready or self._hear()
                if self.outcome is not None:
                    return Death("failed", "")
                if not alive or self._process.sentinel in ready:
                    self._process.join()
                    while self._ours.poll() and self._hear():
                        pass
                    return Death("failed", _how(self._process.exitcode))
                if self._stop.at_once:
                    return Death("failed", "ended on request")
                if self._stop.asked and not self._told_to_stop:
                    self._told_to_stop = True
                    with suppress(OSError):
                        self._ours.send_bytes(messages.STOP)
                over = self._over()
                if over is not None:
                    return over

    def _hear(self) -> bool:
        """Pass one message on; False if there will be none any more."""
        try:
            message = json.loads(self._ours.recv_bytes())
        except (EOFError, OSError):
            return False
        if "outcome" in message:
            self.outcome, self.reason = message["outcome"], message["reason"]
        else:
            self._relay.hear(message)
        return True

    def _over(self) -> Death | None:
        time_limit, memory_limit = self._rules.time_limit, self._rules.memory_limit
        if time_limit is not None and time.monotonic() - self._start > time_limit:
            return Death("timeout", f"not done after {duration(time_limit)} (--time-limit); {MORE}")
        if memory_limit is not None and resident(self._process.pid) > memory_limit:
            return Death("failed", f"more than {memory_limit / 1e9:.3g} GB of memory (--memory-limit); {MORE}")
        return None


def resident(process: int | None) -> int:
    """Bytes of resident memory of a process and all that it has started; 0 if it is gone."""
    total = 0
    with suppress(psutil.Error):
        root = psutil.Process(process)
        for member in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                total += member.memory_info().rss
    return total


def end(process: ForkServerProcess) -> None:
    """End a process with all that it has started."""
    if process.pid is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _how(status: int | None) -> str:
    """How a process ended, from its exit status: negative ones are signals."""
    known = {
        signal.SIGKILL: "killed by signal 9 (out of memory?)",
        signal.SIGSEGV: "segmentation fault (signal 11)",
        signal.SIGABRT: "aborted (signal 6)",
    }
    if status is None or status >= 0:
        return f"its process ended without a result, with exit status {status}"
    return known.get(-status) or f"killed by signal {-status}"  # type: ignore[call-overload]
