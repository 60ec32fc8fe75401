"""Runs without a result: they keep their rows and say why."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import pandas as pd

from bench.consistency import twins
from bench.report import escape
from bench.report.render import NOTHING, Cell, Table
from bench.report.runs import ReportRun

SHORT = 60
"""Characters of a reason beside other results; the table of all problems has more room."""
LONG = 400


def notes(runs: Iterable[ReportRun]) -> dict[tuple[str, int], str]:
    """What went wrong, in a few words, by row label and code length."""
    seeds: dict[tuple[str, int], set[int]] = defaultdict(set)
    problems: dict[tuple[str, int], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        key = (run.method, run.bits)
        seeds[key].add(run.record.spec.seed)
        if not run.done:
            problems[key][why(run, SHORT)].append(run.record.spec.seed)
    return {
        key: "; ".join(
            why if len(failed) == len(seeds[key]) else f"seed {', '.join(map(str, failed))} {why}"
            for why, failed in reasons.items()
        )
        for key, reasons in problems.items()
    }


def table(runs: Sequence[ReportRun]) -> Table | None:
    """All runs without a result, or None where there are none."""
    rows = [
        {
            "dataset": run.dataset_title,
            "method": run.method,
            "bits": run.bits,
            "seed": run.record.spec.seed,
            "status": run.record.status,
            "reason": escape.shorten(run.record.reason or NOTHING, LONG),
        }
        for run in runs
        if not run.done
    ]
    if not rows:
        return None
    return Table(
        name="without-result",
        caption="Runs without a result.",
        header=("dataset", "method", "bits", "seed", "status", "reason"),
        rows=[[Cell(str(value)) for value in row.values()] for row in rows],
        frame=pd.DataFrame(rows),
        words=frozenset({"dataset", "method", "status", "reason"}),
    )


def why(run: ReportRun, width: int) -> str:
    """The status and, in at most `width` characters, the reason."""
    reason = escape.shorten(run.record.reason or "", width)
    return f"{run.record.status}: {reason}" if reason else run.record.status


def equal_codes(runs: Sequence[ReportRun]) -> list[str]:
    """A line for every run whose codes are those of another one, which a reader must not take for two results."""
    return [f"{pair.second.record.spec.folder}: {pair.sentence}" for pair in twins(run.stored for run in runs)]
