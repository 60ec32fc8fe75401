"""The table of what training took and what codes came of it: every figure of it is declared once, in `FIGURES`."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pandas as pd

from bench.report import frames, problems
from bench.report.costs import SEVERAL_MACHINES
from bench.report.runs import ReportRun, rows_by_method
from bench.report.tables import (
    BITS,
    MACHINE,
    METHOD,
    SEEDS,
    Column,
    Row,
    Table,
    note_column,
    number,
    rows_for,
    several_machines,
    several_seeds,
    significant,
    word,
)
from bench.store.record import RunRecord

BY = ("dataset", "method", "bound", "bits", "machine", "checkpoint")


class Figure(NamedTuple):
    """A number of a training.

    Attributes:
        title: heading of its column.
        value: finds it in the record of a finished run; None where there is none.
        shown: makes the text of a cell from the mean over seeds and the standard deviation.
    """

    title: str
    value: Callable[[RunRecord], float | None]
    shown: Callable[[float, float], str] = significant


FIGURES = {
    "epochs": Figure("epochs", lambda record: len(record.history) or None, lambda mean, _: number(mean, decimals=0)),
    "fit_seconds": Figure("fit (s)", lambda record: record.durations.get("fit")),
    "final_loss": Figure("final loss", lambda record: record.history[-1].get("loss") if record.history else None),
    "bit_imbalance": Figure("imbalance", lambda record: _of_codes(record, "bit_imbalance"), number),
    "bit_entropy": Figure("entropy", lambda record: _of_codes(record, "bit_entropy"), number),
    "bit_correlation": Figure("correlation", lambda record: _of_codes(record, "bit_correlation"), number),
    "effective_bits": Figure("effective bits", lambda record: _of_codes(record, "effective_bits")),
    "constant_bits": Figure("constant bits", lambda record: _of_codes(record, "constant_bits") or None),
    "distinct_codes": Figure("distinct codes", lambda record: _of_codes(record, "distinct_codes"), number),
}
"""The figures by their names in the CSV file, in the order of the table. Methods without epochs have no loss."""
CODES = (
    "Of the codes of queries and gallery: imbalance is the mean over the bits of |2p - 1|, p the share of +1 (0: even, "
    "1: constant); entropy the mean of -p log2 p - (1 - p) log2 (1 - p) (1: even, 0: constant); correlation the mean "
    "of |ρ| over pairs of bits; effective bits is (Σλ)² / Σλ² of the eigenvalues λ of the bits' covariance (all bits, "
    "if even and uncorrelated); distinct codes is the number of different codes over the number of videos."
)


def training(runs: Sequence[ReportRun]) -> pd.DataFrame:
    """What training took, one row per finished run; NaN where there is no such number."""
    rows = [
        {
            **frames.identify(run),
            "machine": run.machine,
            "checkpoint": run.record.checkpoint if run.record.history else None,
            **{name: figure.value(run.record) for name, figure in FIGURES.items()},
        }
        for run in runs
        if run.done
    ]
    return pd.DataFrame(rows, columns=[*BY, "seed", *FIGURES]).astype(dict.fromkeys(FIGURES, float))


def table(runs: Sequence[ReportRun]) -> Table:
    """The figures over seeds, and the rule by which weights were chosen. `runs` are those of one dataset."""
    frame = frames.over_seeds(training(runs), BY, spread=list(FIGURES))
    rows = rows_for(rows_by_method(runs), frame)
    columns = [
        METHOD,
        BITS,
        *(Column(figure.title, _value(name, figure), _known(name)) for name, figure in FIGURES.items()),
        Column("weights", lambda row: word(row["checkpoint"]), words=True),
        MACHINE,
        SEEDS,
        note_column(problems.notes(runs)),
    ]
    return Table.of(
        columns,
        rows,
        name=f"{runs[0].dataset}-training",
        caption=f"Training on {runs[0].dataset_title}.",
        frame=frame,
        notes=[
            "Mean ± standard deviation over seeds." if several_seeds(rows) else "",
            "Losses of different methods do not compare. No rule for choosing weights looks at test labels.",
            CODES if _known("bit_entropy")(rows) else "",
            SEVERAL_MACHINES if several_machines(rows) else "",
        ],
    )


def _of_codes(record: RunRecord, name: str) -> float | None:
    return getattr(record.diagnostics, name, None)


def _known(name: str) -> Callable[[Sequence[Row]], bool]:
    """Whether any row has this figure."""
    return lambda rows: any(pd.notna(row[name]) for row in rows)


def _value(name: str, figure: Figure) -> Callable[[Row], str]:
    return lambda row: figure.shown(row[name], row[f"{name}_std"])
