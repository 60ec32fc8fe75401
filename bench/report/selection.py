"""Selection of what a report shows: of stored runs those that are asked for, and of these cut-offs and metrics."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.base.errors import InputError
from bench.base.text import closest
from bench.metrics.scores import Scores
from bench.report.frames import OTHER_METRICS
from bench.store.stored_run import StoredRun

CURVES = "precision_recall"


def select_runs(
    runs: Iterable[StoredRun], methods: Sequence[str] = (), datasets: Sequence[str] = (), bits: Sequence[int] = ()
) -> list[StoredRun]:
    """The runs of these methods, datasets (names, or folders that were given to `bench run`) and code lengths.

    Where nothing is named, all are taken.

    Raises:
        InputError: there is no run of a method, dataset or code length; the message names the nearest that have runs.
    """
    selected = list(runs)
    names = [str(Path(name).resolve().name) if Path(name).is_dir() else name for name in datasets]
    criteria: list[tuple[str, Iterable[str], Callable[[StoredRun], str]]] = [
        ("method", methods, lambda run: run.record.spec.method),
        ("dataset", names, lambda run: run.record.spec.dataset),
        ("code length", map(str, bits), lambda run: str(run.record.spec.bits)),
    ]
    for what, wanted, of in criteria:
        chosen, known = set(wanted), {of(run) for run in selected}
        for name in sorted(chosen - known):
            raise InputError(f"no selected run has the {what} '{name}': {closest(name, known)}")
        selected = [run for run in selected if not chosen or of(run) in chosen]
    return selected


def narrow_runs(runs: Iterable[StoredRun], ks: Sequence[int] = (), metrics: Sequence[str] = ()) -> list[StoredRun]:
    """The runs with the scores at these cut-offs alone, and of the metrics beside mAP@k these.

    Where nothing is named, all are kept. Metrics are named as in `Scores`; `precision_recall` are the curves.

    Raises:
        InputError: no run has a score at a cut-off, or there is no such metric.
    """
    narrowed = list(runs)
    known = {k for run in narrowed for scores in run.record.metrics.values() for k in scores.ks}
    for k in sorted(set(ks) - known):
        listed = ", ".join(map(str, sorted(known)))
        raise InputError(f"--k {k}: no selected run was evaluated at it; known: {listed or 'none'}")
    for name in sorted(set(metrics) - {*OTHER_METRICS, CURVES}):
        raise InputError(f"--metrics: unknown metric '{name}': {closest(name, [*OTHER_METRICS, CURVES])}")
    if not ks and not metrics:
        return narrowed

    def narrow(run: StoredRun) -> StoredRun:
        found = {name: _narrowed(scores, ks, metrics) for name, scores in run.record.metrics.items()}
        return replace(run, record=run.record.model_copy(update={"metrics": found}))

    return list(map(narrow, narrowed))


def _narrowed(scores: Scores, ks: Sequence[int], metrics: Sequence[str]) -> Scores:
    """The scores at these cut-offs; metrics that are not asked for are NaN, which no table shows."""
    kept = tuple(k for k in scores.ks if not ks or k in ks)
    hidden = {name for name in (*OTHER_METRICS, CURVES) if metrics and name not in metrics}
    if scores.protocol.measure == "recall":
        hidden.discard("recall")
    changed: dict[str, Any] = {"ks": kept}
    for name in type(scores).model_fields:
        value = getattr(scores, name)
        if isinstance(value, dict) and value:
            changed[name] = {k: math.nan if name in hidden else value[k] for k in kept}
        elif name in hidden:
            changed[name] = None if name == CURVES else math.nan
    if "nothing_within_radius2" in hidden:
        changed["queries_empty_radius2"] = None
    return scores.model_copy(update=changed)
