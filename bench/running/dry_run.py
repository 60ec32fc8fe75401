"""What a command would do, without doing it."""

from collections import Counter
from collections.abc import Sequence

from bench.leases import Leases
from bench.running.estimate import Estimates, kind_of
from bench.running.existing import Existing, fate
from bench.running.limits import duration
from bench.running.queue import LEASES
from bench.store import Store, StoredRun
from bench.sweep import PlannedRun
from bench.text_table import text_table

TO_DO = "to do"


def dry_run(planned: Sequence[PlannedRun], store: Store, existing: Existing, jobs: int) -> str:
    """A table of the runs: what is reused, what would be done, who is doing what already, and how long it would take.

    Times are those of finished runs of the same method, with the same parameters, on the same dataset.
    """
    leases = Leases(store.root / LEASES)
    estimates = Estimates(run.record for run in store.runs())
    rows, to_do = [], []
    for run in planned:
        state = _state(run, store.find_sound(run.spec), leases, existing)
        seconds = estimates.seconds(run.spec) if state.startswith(TO_DO) else None
        if state.startswith(TO_DO):
            to_do.append(kind_of(run.spec))
        expected = duration(seconds) if seconds is not None else "unknown" if state.startswith(TO_DO) else ""
        rows.append((state, run.spec.dataset, run.spec.method, run.spec.bits, run.spec.seed, expected))
    total = estimates.total(Counter(to_do))
    whole = "unknown" if total is None else f"about {duration(total / jobs)}"
    table = text_table(rows, headers=("state", "dataset", "method", "bits", "seed", "time"))
    return f"{table}\n\n{len(to_do)} of {len(rows)} runs to do, time: {whole} (costs are measured afterwards)"


def _state(run: PlannedRun, stored: StoredRun | None, leases: Leases, existing: Existing) -> str:
    status, becomes = stored.record.status if stored else None, fate(existing, stored)
    if becomes == "left out":
        return "not stored, left out"
    if becomes == "reused":
        return "stored, reused" if status == "done" else f"{status}, kept (--existing retry-failed tries again)"
    owner = leases.holder(run.spec.identity)
    if owner is not None:
        return f"under way on {owner.get('host', 'another machine')}, process {owner.get('process', 'unknown')}"
    return f"{TO_DO} again ({status})" if stored else TO_DO
