"""The queue of a sweep's remaining runs, shared by all processes that work on the same results."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.base.processes import is_here
from bench.running.plan import PlannedRun
from bench.store.leases import MEASURING, Lease, Leases, exclusive, pause
from bench.store.store import Store
from bench.store.stored_run import StoredRun


@dataclass(frozen=True)
class Job:
    """A run assigned to this process while it holds the lease."""

    number: int
    """Its index in the sweep."""
    run: PlannedRun
    lease: Lease


@dataclass
class RunQueue:
    """Assigns each run to one process; threads may share it.

    A run is done if it is stored and `again` does not ask for a repetition, or if it was stored since the queue was
    made, by this or another process.
    """

    store: Store
    leases: Leases
    planned: Sequence[PlannedRun]
    again: Callable[[StoredRun], bool]
    """Whether to repeat a run that was stored before."""
    stop: Callable[[], bool]
    wait: Callable[[], None] = pause
    say: Callable[[str], None] = lambda line: None
    finished: dict[str, StoredRun] = field(default_factory=dict)
    """Finished runs by identity."""
    _todo: deque[int] = field(default_factory=deque)
    _before: dict[str, StoredRun] = field(default_factory=dict)
    _unsound: set[str] = field(default_factory=set)
    """Identities of damaged or inconsistent runs, which are repeated under every policy."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiting: int = 0

    def __post_init__(self) -> None:
        for number, run in enumerate(self.planned):
            stored = self.store.find_sound(run.spec)
            if stored is None:
                stored = self.store.find(run.spec)
                self._unsound.add(run.spec.identity)
            if stored is not None:
                self._before[run.spec.identity] = stored
            if not self._settled(number, stored):
                self._todo.append(number)

    @property
    def left(self) -> list[PlannedRun]:
        """Runs that no thread of this process has started."""
        return [self.planned[number] for number in list(self._todo)]

    def label(self, number: int) -> str:
        """The name of a run in messages."""
        spec = self.planned[number].spec
        return (f"[{number + 1}/{len(self.planned)}] {spec.dataset} {spec.method} {spec.bits} bits "
                f"seed {spec.seed}")  # fmt: skip

    def next(self) -> Job | None:
        """The next run to do; waits while only runs of other processes are left. None if all are done, or on a stop."""
        while not self.stop():
            with self._lock:
                job = self._free()
                waiting = len(self._todo)
                if job is not None or not waiting:
                    return job
                news = waiting != self._waiting
                self._waiting = waiting
            if news:
                self.say(f"waiting for {waiting} runs of other processes")
            self.wait()
        return None

    def done(self, job: Job, stored: StoredRun | None) -> None:
        """Mark a job as done. `stored` is None if its lease was lost: another process does the run."""
        with self._lock:
            if stored is None:
                self._todo.append(job.number)
            else:
                self.finished[job.run.spec.identity] = stored

    def _free(self) -> Job | None:
        """The first run that is neither done nor assigned to another process."""
        for _ in range(len(self._todo)):
            number = self._todo.popleft()
            run = self.planned[number]
            if self._settled(number, self.store.find(run.spec)):
                continue
            lease = None if self._measured_here() else self.leases.take(run.spec.identity)
            if lease is None:
                self._todo.append(number)
                continue
            # Check again under the lease: another process may have stored the run or started to measure.
            settled = self._settled(number, self.store.find(run.spec))
            if not settled and not self._measured_here():
                return Job(number, run, lease)
            lease.release()
            if not settled:
                self._todo.append(number)
        return None

    def _settled(self, number: int, stored: StoredRun | None) -> bool:
        if stored is None:
            return False
        identity = self.planned[number].spec.identity
        before = self._before.get(identity)
        again = identity in self._unsound or self.again(stored)
        if again and before is not None and _making(stored) == _making(before):
            return False
        self.say(f"{self.label(number)}: {stored.record.status}, stored")
        self.finished[identity] = stored
        return True

    def _measured_here(self) -> bool:
        owner = self.leases.holder(MEASURING)
        return owner is not None and is_here(owner)


@contextmanager
def alone(leases: Leases, wait: Callable[[], None], say: Callable[[str], None]) -> Iterator[None]:
    """Keep other processes that share these results from measuring, and those on this machine from doing runs."""
    with exclusive(leases, MEASURING, wait, say):
        waiting = False
        while any(is_here(leases.holder(name) or {}) for name in leases.names() if name != MEASURING):
            if not waiting:
                say("waiting for other processes' runs on this machine before measuring")
            waiting = True
            wait()
        yield


def _making(stored: StoredRun) -> tuple[str, dict[str, float]]:
    """A key that changes when a run is repeated, but not when its metrics are recomputed or costs are added."""
    return stored.record.started, stored.record.durations
