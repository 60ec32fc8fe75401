"""What a command would do, without doing it."""

from collections import Counter
from collections.abc import Sequence

from bench.leases import Leases
from bench.running.estimate import Estimates, kind_of
from bench.running.limits import duration
from bench.running.queue import LEASES
from bench.store import Store, StoredRun
from bench.sweep import PlannedRun
from bench.text_table import text_table

TO_DO = "to do"


def dry_run(planned: Sequence[PlannedRun], store: Store, existing: str, jobs: int) -> str:
    """A table of the runs: what is reused, what would be done, who is doing what already, and how long it would take.

    Times are those of finished runs of the same method, with the same parameters, on the same dataset.
    """
    leases = Leases(store.root / LEASES)
    estimates = Estimates(run.record for run in store.runs())
    rows, to_do = [], []
    for run in planned:
        state = _state(run, store.find(run.spec), leases, existing)
        seconds = estimates.seconds(run.spec) if state.startswith(TO_DO) else None
        if state.startswith(TO_DO):
            to_do.append(kind_of(run.spec))
        expected = duration(seconds) if seconds is not None else "unknown" if state.startswith(TO_DO) else ""
        rows.append((state, run.spec.dataset, run.spec.method, run.spec.bits, run.spec.seed, expected))
    total = estimates.total(Counter(to_do))
    whole = "unknown" if total is None else f"about {duration(total / jobs)}"
    table = text_table(rows, headers=("state", "dataset", "method", "bits", "seed", "time"))
    return f"{table}\n\n{len(to_do)} of {len(rows)} runs to do, time: {whole} (costs are measured afterwards)"


def _state(run: PlannedRun, stored: StoredRun | None, leases: Leases, existing: str) -> str:
    owner = leases.holder(run.spec.identity)
    done = stored is not None and stored.record.status == "done"
    if stored is not None and (existing in {"reuse", "only-cached"} or (existing == "retry-failed" and done)):
        return "stored, reused" if done else f"{stored.record.status}, kept (--existing retry-failed tries again)"
    if owner is not None:
        return f"under way on {owner.get('host', 'another machine')}, process {owner.get('process', 'unknown')}"
    if existing == "only-cached":
        return "not stored, left out"
    return TO_DO if stored is None else f"{TO_DO} again ({stored.record.status})"
