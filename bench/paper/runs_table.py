"""Which stored runs the artefacts were made from."""

from collections.abc import Iterable

import pandas as pd

from bench.paper.artefacts import Results
from bench.report.escape import shorten
from bench.report.runs import ReportRun
from bench.report.tables import Cell, Table

REASON = 200


def runs_table(results: Iterable[Results]) -> Table:
    """One row for every run, with the artefacts that use it, its parameters' place, and its status."""
    used: dict[str, tuple[ReportRun, dict[str, None]]] = {}
    for group in results:
        for (label, _), runs in group.runs.items():
            for run in runs:
                _, users = used.setdefault(run.record.spec.identity, (run, {}))
                users[group.need.name if group.need.name == "panels" else f"{group.need.name}: {label}"] = None
    frame = pd.DataFrame(
        [
            {
                "method": run.record.spec.method,
                "bits": run.bits,
                "seed": run.record.spec.seed,
                "used in": "; ".join(users),
                "status": run.record.status,
                "reason": shorten(run.record.reason or "", REASON),
                "folder": run.record.spec.folder,
            }
            for run, users in used.values()
        ],
        columns=["method", "bits", "seed", "used in", "status", "reason", "folder"],
    )
    shown = frame if frame["reason"].any() else frame.drop(columns="reason")
    return Table(
        name="runs",
        caption="The runs behind the tables and figures.",
        header=list(shown.columns),
        rows=[[Cell(str(value)) for value in row] for row in shown.itertuples(index=False)],
        frame=frame,
        words=frozenset({"used in", "status", "reason", "folder"}),
        notes=("Folders lie in the results folder; record.json there holds all parameters and the environment.",),
    )
