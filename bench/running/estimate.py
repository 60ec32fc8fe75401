"""Estimates of running times, and the dry run."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean, median

import torch

from bench.base.text import duration, text_table
from bench.running.jobs import jobs_at_once, trainings
from bench.running.plan import Existing, PlannedRun, action_for
from bench.store.leases import LEASES, Leases
from bench.store.record import RunRecord, RunSpec
from bench.store.store import Store
from bench.store.stored_run import StoredRun

Kind = tuple[str, str, str]
TO_DO = "to do"


class Estimates:
    """Running times estimated from finished runs with the same method, parameters and dataset."""

    def __init__(self, records: Iterable[RunRecord] = ()) -> None:
        self._seconds: dict[Kind, list[float]] = defaultdict(list)
        for record in records:
            self.add(record)

    def add(self, record: RunRecord) -> None:
        """Add a run's durations, unless it failed."""
        if record.status == "done":
            self._seconds[kind_of(record.spec)].append(sum(record.durations.values()))

    def seconds(self, spec: RunSpec) -> float | None:
        """The estimated time of a run; None if no similar run is known."""
        found = self._seconds.get(kind_of(spec))
        return median(found) if found else None

    def total(self, kinds: Counter[Kind]) -> float | None:
        """The estimated time of runs of these kinds, unknown kinds taken as the mean; None if all are unknown."""
        known = {kind: median(self._seconds[kind]) for kind in kinds if kind in self._seconds}
        if not known and kinds:
            return None
        typical = fmean(known.values()) if known else 0.0
        return sum(count * known.get(kind, typical) for kind, count in kinds.items())


def kind_of(spec: RunSpec) -> Kind:
    """A key that runs share if they take about the same time; code length and seed matter little."""
    return spec.method, spec.dataset_fingerprint, str(sorted(spec.parameters.items()))


def dry_run(
    planned: Sequence[PlannedRun], store: Store, existing: Existing, device: torch.device, jobs: int | None
) -> str:
    """A table of the runs: reused, to do, or being done by another process, with estimated times.

    `jobs`: runs at a time; None: as many as a sweep does by default.
    """
    leases = Leases(store.root / LEASES)
    estimates = Estimates(run.record for run in store.runs())
    rows, to_do = [], []
    for run in planned:
        state = _state(run, store.find_sound(run.spec), leases, existing)
        seconds = estimates.seconds(run.spec) if state.startswith(TO_DO) else None
        if state.startswith(TO_DO):
            to_do.append(run)
        expected = duration(seconds) if seconds is not None else "unknown" if state.startswith(TO_DO) else ""
        rows.append((state, run.spec.dataset, run.spec.method, run.spec.bits, run.spec.seed, expected))
    total = estimates.total(Counter(kind_of(run.spec) for run in to_do))
    at_once = jobs or jobs_at_once(trainings(to_do), device)
    whole = "unknown" if total is None else f"about {duration(total / at_once)}"
    table = text_table(rows, headers=("state", "dataset", "method", "bits", "seed", "time"))
    return f"{table}\n\n{len(to_do)} of {len(rows)} runs to do, time: {whole} (costs are measured afterwards)"


def _state(run: PlannedRun, stored: StoredRun | None, leases: Leases, existing: Existing) -> str:
    status, action = stored.record.status if stored else None, action_for(existing, stored)
    if action == "skip":
        return "not stored, skipped"
    if action == "reuse":
        return "stored, reused" if status == "done" else f"{status}, kept (--existing retry-failed tries again)"
    owner = leases.holder(run.spec.identity)
    if owner is not None:
        return f"running on {owner.get('host', 'another machine')}, process {owner.get('process', 'unknown')}"
    return f"{TO_DO} again ({status})" if stored else TO_DO
