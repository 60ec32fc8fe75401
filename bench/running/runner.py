"""The runner of a sweep: does the runs, then measures costs while nothing else runs."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch

from bench.base.errors import InputError
from bench.base.process_state import limited_threads
from bench.base.progress import Progress, Stopped
from bench.data.dataset import Dataset
from bench.learning.residency import Residents
from bench.running.display import SilentDisplay, SweepDisplay
from bench.running.estimate import Estimates, kind_of
from bench.running.failures import reason_of
from bench.running.isolation import Executor, ExecutorFactory
from bench.running.measure import measure_runs, with_relaxed
from bench.running.one_run import do_run, fit_context
from bench.running.plan import Existing, PlannedRun, action_for
from bench.running.queue import Job, RunQueue, alone
from bench.running.stopping import StopRequest, ended_by_signals, listening
from bench.running.storage import StorageError
from bench.store.leases import LEASES, Leases, pause
from bench.store.record import RunRecord
from bench.store.registered import note_dataset
from bench.store.store import Store
from bench.store.stored_run import TRACEBACK, StoredRun, write_record

UNMEASURED = "costs could not be measured"


@dataclass
class Runner:
    """Does planned runs, and stores each as soon as it is finished; several runners may share a results folder."""

    store: Store
    device: torch.device
    existing: Existing = "reuse"
    display: SweepDisplay = field(default_factory=SilentDisplay)
    say: Callable[[str], None] = lambda line: None
    isolation: ExecutorFactory | None = None
    """Isolated processes here or on a cluster; None: in this process, one run at a time."""
    threads: int | None = None
    """Threads of runs in this process that train on the processor; None: as many as it has. On a GPU, and to measure
    costs, it uses as many as it has."""
    wait: Callable[[], None] = pause
    """Called while waiting for other processes."""
    relaxed: bool = False
    """Also score the relaxed outputs of all methods, from the stored encoders."""

    def run(self, planned: Sequence[PlannedRun]) -> list[StoredRun]:
        """Do the runs that the policy for existing results demands. Returns all stored runs in the order of the plan.

        Raises:
            InputError: a dataset cannot be read, or the results folder cannot be written (StorageError).
            Stopped: stopped by SIGINT, SIGTERM or SIGHUP; interrupted trainings continue next time.
            KeyboardInterrupt: by a second signal.
        """
        datasets = _Datasets(self.say)
        leases = Leases(self.store.root / LEASES)
        with listening() as stop:
            queue = RunQueue(self.store, leases, planned, self._must_repeat, stop, self.wait, self.say)
            if action_for(self.existing, None) == "skip":
                for run in queue.left:
                    self.say(f"{queue.label(planned.index(run))}: not stored, skipped (--existing only-cached)")
            elif queue.left:
                self.store.require_writable()
                with self._executor(stop, queue.left) as executor:
                    if executor and executor.jobs > 1:
                        self.say(f"{executor.jobs} runs at a time")
                    # Load, and thereby check, all datasets before the first run.
                    for run in queue.left:
                        self._describe(datasets.get(run))
                    _Sweep(self, queue, stop, datasets, executor).work()
            if stop.asked:
                raise Stopped("stopped between two runs")
        finished = [queue.finished[run.spec.identity] for run in planned if run.spec.identity in queue.finished]
        with ended_by_signals():
            measured = self._measure(planned, finished, datasets, leases)
            return self._score_relaxed(planned, measured, datasets, leases) if self.relaxed else measured

    def _describe(self, data: Dataset) -> None:
        """Write the description of a dataset, against which later readers check its runs."""
        try:
            note_dataset(data, self.store.root)
        except OSError as error:
            raise StorageError(self.store.root, error.strerror or str(error)) from error

    def _executor(self, stop: StopRequest, runs: Sequence[PlannedRun]) -> AbstractContextManager[Executor | None]:
        return self.isolation.executor(self.store, self.device, stop, runs) if self.isolation else nullcontext()

    def _measure(
        self, planned: Sequence[PlannedRun], finished: Sequence[StoredRun], datasets: "_Datasets", leases: Leases
    ) -> list[StoredRun]:  # fmt: skip
        """The runs with their costs: measures those that have none, together, and rewrites their records."""
        by_identity = {run.spec.identity: run for run in planned}
        if not any(map(self._unmeasured, finished)):
            return list(finished)
        try:
            self.store.require_writable()
        except InputError as error:  # all runs were stored before, in a folder that is read-only here
            self.say(f"costs are not measured: {error}")
            return list(finished)
        with alone(leases, self.wait, self.say):
            # Another process may have measured them while this one waited.
            known = [self.store.find(stored.record.spec) or stored for stored in finished]
            lacking = {stored.record.spec.identity: stored for stored in known if self._unmeasured(stored)}
            found = {by_identity[identity].summary.fingerprint: datasets.get(by_identity[identity])
                     for identity in lacking}  # fmt: skip
            measured = measure_runs([by_identity[identity] for identity in lacking], self.device, found, self.say)
            for (identity, stored), costs in zip(list(lacking.items()), measured, strict=True):
                if isinstance(costs, Exception):  # the run keeps its quality
                    reason = f"{UNMEASURED}: {reason_of(costs)}"
                    record = stored.record.model_copy(update={"reason": reason})
                else:
                    record = stored.record.model_copy(update={"reason": None, "costs": costs})
                write_record(stored.folder, record)
                lacking[identity] = StoredRun(stored.folder, record)
        return [lacking.get(stored.record.spec.identity, stored) for stored in known]

    def _score_relaxed(
        self, planned: Sequence[PlannedRun], finished: Sequence[StoredRun], datasets: "_Datasets", leases: Leases
    ) -> list[StoredRun]:  # fmt: skip
        """The runs with the scores of their relaxed outputs: computes those that lack them, and rewrites records."""
        by_identity = {run.spec.identity: run for run in planned}
        if not any(map(_lacks_relaxed, finished)):
            return list(finished)
        found = []
        with alone(leases, self.wait, self.say):
            for stored in (self.store.find(stored.record.spec) or stored for stored in finished):
                record = stored.record
                if _lacks_relaxed(stored):
                    run = by_identity[record.spec.identity]
                    try:
                        record = with_relaxed(run, stored, datasets.get(run), self.device)
                        write_record(stored.folder, record)
                    except Exception as error:  # the run keeps its quality
                        self.say(f"{record.spec.folder}: relaxed outputs are not scored: {reason_of(error)}")
                found.append(StoredRun(stored.folder, record))
        return found

    def _unmeasured(self, stored: StoredRun) -> bool:
        """Whether this is a finished run whose costs should be measured."""
        record = stored.record
        if self.existing == "only-cached" or record.status != "done" or record.uses_labels:
            return False
        if record.costs:
            return self.existing == "remeasure"
        return self.existing != "reuse" or not (record.reason or "").startswith(UNMEASURED)

    def _must_repeat(self, stored: StoredRun) -> bool:
        return action_for(self.existing, stored) == "do"


def _lacks_relaxed(stored: StoredRun) -> bool:
    """Whether this is a finished run of a method whose relaxed outputs were not scored."""
    return stored.record.status == "done" and not stored.record.bound and stored.record.relaxed is None


@dataclass
class _Datasets:
    """The datasets of runs, each loaded once."""

    say: Callable[[str], None]
    _found: dict[str, Dataset] = field(default_factory=dict)

    def get(self, run: PlannedRun) -> Dataset:
        if run.summary.fingerprint not in self._found:
            self.say(f"loading {run.summary.name}")
            self._found[run.summary.fingerprint] = run.source.load()
        return self._found[run.summary.fingerprint]


class _Sweep:
    """Work on a queue of runs, in one thread per job, or in the main thread if there is only one."""

    def __init__(
        self, runner: Runner, queue: RunQueue, stop: StopRequest, datasets: _Datasets, executor: Executor | None
    ) -> None:  # fmt: skip
        self._runner, self._queue, self._stop, self._datasets = runner, queue, stop, datasets
        self._estimates = Estimates(_stored_before(runner.store))
        self._kinds = {run.spec.identity: kind_of(run.spec) for run in queue.planned}
        self._lock, self._residents = threading.Lock(), Residents()
        self._executor, self._jobs = executor, executor.jobs if executor else 1

    def work(self) -> None:
        """Do all runs in the queue."""
        with self._runner.display.sweep():
            self._overall()
            if self._jobs == 1:
                self._do_all()
                return
            with ThreadPoolExecutor(self._jobs) as pool:
                futures = [pool.submit(self._do_all) for _ in range(self._jobs)]
            errors = [error for future in futures if (error := future.exception()) is not None]
            # The first error made the other threads stop: it comes before their Stopped.
            for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
                raise error

    def _do_all(self) -> None:
        try:
            while (job := self._queue.next()) is not None:
                self._do(job)
        except BaseException as error:
            # Let the other threads save the state of their runs.
            self._stop.asked = True
            if isinstance(error, OSError) and not isinstance(error, StorageError):
                named = f": {error.filename}" if error.filename is not None else ""
                raise StorageError(self._runner.store.root, f"{error.strerror or error}{named}") from error
            raise

    def _do(self, job: Job) -> None:
        label, runner = self._queue.label(job.number), self._runner
        with job.lease, runner.display.run(label) as progress:
            if self._executor:
                stored = self._executor.do(job, progress, lambda line: runner.say(f"{label}: {line}"))
            else:
                stored = self._do_here(job, progress)
            self._queue.done(job, stored)
        if stored is None:
            runner.say(f"{label}: taken over by another process while this one was suspended; its result is used")
            return
        seconds = sum(stored.record.durations.values())
        reason = f": {stored.record.reason}" if stored.record.reason else ""
        trace = f" ({stored.folder / TRACEBACK})" if stored.record.status != "done" else ""
        runner.say(f"{label}: {stored.record.status} in {seconds:.1f} s{reason}{trace}")
        with self._lock:
            self._estimates.add(stored.record)
        self._overall()

    def _do_here(self, job: Job, progress: Progress) -> StoredRun | None:
        runner = self._runner
        context = fit_context(runner.store, job.run, runner.device, progress, runner.say, self._stop)
        context.residents = self._residents
        folder = os.open(".", os.O_RDONLY)  # the method may change the working folder, or remove it
        try:
            # Evaluation takes the current device.
            on_cpu = runner.device.type == "cpu"
            with limited_threads(runner.threads) if on_cpu else torch.cuda.device(runner.device):
                return do_run(job.run, self._datasets.get(job.run), runner.store, context, lambda: job.lease.held)
        finally:
            os.fchdir(folder)
            os.close(folder)

    def _overall(self) -> None:
        done = self._queue.finished
        left = self._estimates.total(Counter(kind for identity, kind in self._kinds.items() if identity not in done))
        self._runner.display.overall(len(done), len(self._kinds), None if left is None else left / self._jobs)


def _stored_before(store: Store) -> list[RunRecord]:
    try:
        return [run.record for run in store.runs()]
    except InputError:  # runs of another version, which this sweep ignores
        return []
