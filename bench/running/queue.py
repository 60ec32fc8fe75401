"""The queue of runs left in a sweep, shared by all processes that work on the same results."""

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
    """A run that is this process's to do, for as long as its lease is held."""

    number: int
    """Its place in the sweep, from 0."""
    run: PlannedRun
    lease: Lease


@dataclass
class RunQueue:
    """Hands out runs, each to one process of all; threads may share it.

    A run counts as done when it is stored as `again` accepts it, or stored anew since the queue was made: by us or by
    another process.
    """

    store: Store
    leases: Leases
    planned: Sequence[PlannedRun]
    again: Callable[[StoredRun], bool]
    """Whether a run that was stored before is to be done once more."""
    stop: Callable[[], bool]
    wait: Callable[[], None] = pause
    say: Callable[[str], None] = lambda line: None
    finished: dict[str, StoredRun] = field(default_factory=dict)
    """What is done, by identity."""
    _todo: deque[int] = field(default_factory=deque)
    _before: dict[str, StoredRun] = field(default_factory=dict)
    _unsound: set[str] = field(default_factory=set)
    """Runs whose files are damaged or contradict the record; done again whatever the policy."""
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
        """What nobody here has begun."""
        return [self.planned[number] for number in list(self._todo)]

    def label(self, number: int) -> str:
        """What a run is called in news."""
        spec = self.planned[number].spec
        return (f"[{number + 1}/{len(self.planned)}] {spec.dataset} {spec.method} {spec.bits} bits "
                f"seed {spec.seed}")  # fmt: skip

    def next(self) -> Job | None:
        """A run to do, waiting while only other processes' runs are left; None when there is none, or to stop."""
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
        """Take note of what became of a job; None: its lease was lost, and the run is another's."""
        with self._lock:
            if stored is None:
                self._todo.append(job.number)
            else:
                self.finished[job.run.spec.identity] = stored

    def _free(self) -> Job | None:
        """The first run that is not done and that nobody else is doing."""
        for _ in range(len(self._todo)):
            number = self._todo.popleft()
            run = self.planned[number]
            if self._settled(number, self.store.find(run.spec)):
                continue
            lease = None if self._measured_here() else self.leases.take(run.spec.identity)
            if lease is None:
                self._todo.append(number)
                continue
            # Looked at again under the lease: another process may have stored the run, or begun to measure.
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
    """While open, no process that works on these results measures, and none on this machine does runs."""
    with exclusive(leases, MEASURING, wait, say):
        told = False
        while any(is_here(leases.holder(name) or {}) for name in leases.names() if name != MEASURING):
            if not told:
                say("waiting for other processes' runs on this machine before measuring")
            told = True
            wait()
        yield


def _making(stored: StoredRun) -> tuple[str, dict[str, float]]:
    """What tells one doing of a run from the next; metrics may be computed again, costs be added."""
    return stored.record.started, stored.record.durations
