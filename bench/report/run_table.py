"""The table of every run: its seed, its score, and its folder in the results."""

from collections.abc import Sequence

from bench.metrics.protocols import measure_of
from bench.report.quality import DECIMALS
from bench.report.runs import ReportRun, headline_ks, protocols_of
from bench.report.tables import BITS, METHOD, Column, Table, number, significant, word

NAME = "runs"


def table(runs: Sequence[ReportRun]) -> Table:
    """Every run in a row, with the score at the first headline k under the first protocol that it has."""
    rows = []
    for run in runs:
        protocol = next(iter(protocols_of([run])), None)
        k = headline_ks(list(run.scores(protocol)))[0] if protocol else None
        rows.append(
            {
                "dataset": run.dataset,
                "method": run.method,
                "bits": run.bits,
                "seed": run.record.spec.seed,
                "status": run.record.status,
                "score": f"{measure_of(protocol)}@{k}" if protocol else None,
                "value": run.scores(protocol)[k] if protocol and k else float("nan"),
                "fit_seconds": run.record.durations.get("fit", float("nan")),
                "started": run.record.started,
                "folder": run.record.spec.folder,
            }
        )
    columns = [
        METHOD,
        BITS,
        Column("seed", lambda row: str(row["seed"])),
        Column("dataset", lambda row: row["dataset"], when=lambda rows: len({row["dataset"] for row in rows}) > 1),
        Column("status", lambda row: row["status"], when=lambda rows: {row["status"] for row in rows} != {"done"}),
        Column("measure", lambda row: word(row["score"]), words=True),
        Column("score", lambda row: number(row["value"], decimals=DECIMALS)),
        Column("fit (s)", lambda row: significant(row["fit_seconds"])),
        Column("started", lambda row: row["started"][:19].replace("T", " "), words=True),
        Column("folder", lambda row: row["folder"], words=True),
    ]
    return Table.of(
        columns,
        rows,
        name=NAME,
        caption="All runs.",
        notes=["Folder: in the results folder. `record.json` there is the whole record of the run."],
    )
