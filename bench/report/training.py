"""The table of what training costs."""

from collections.abc import Sequence

import pandas as pd

from bench.report import frames, problems
from bench.report.costs import BY, SEVERAL_MACHINES, machines, rows_of, significant
from bench.report.render import NOTHING, Cell, Table, number
from bench.report.runs import ReportRun


def training_table(runs: Sequence[ReportRun]) -> Table:
    """Epochs, time, final loss and the rule by which weights were chosen. `runs` are those of one dataset."""
    observed = frames.training(runs)
    observed["checkpoint"] = [run.record.checkpoint if run.record.history else None for run in runs if run.done]
    frame = frames.over_seeds(observed, (*BY, "checkpoint"), spread=["fit_seconds", "final_loss"], mean=["epochs"])
    several_machines = len(machines(frame)) > 1
    several_seeds = bool((frame["seeds"] > 1).any())
    why = problems.notes(runs)
    rows = []
    for method, bits in rows_of(runs):
        found = frame[(frame["method"] == method) & (frame["bits"] == bits)]
        if found.empty:
            blank = [Cell(NOTHING)] * (4 + several_machines + several_seeds)
            rows.append([Cell(method), Cell(str(bits)), *blank, Cell(why.get((method, bits), ""))])
        for _, row in found.iterrows():
            cells = [
                Cell(method),
                Cell(str(bits)),
                Cell(number(row["epochs"], decimals=0)),
                Cell(significant(row["fit_seconds"], row["fit_seconds_std"])),
                Cell(significant(row["final_loss"], row["final_loss_std"])),
                Cell(NOTHING if pd.isna(row["checkpoint"]) else row["checkpoint"]),
            ]
            cells += [Cell(row["machine"])] * several_machines + [Cell(str(row["seeds"]))] * several_seeds
            rows.append([*cells, Cell(why.get((method, bits), ""))])
    header = ["method", "bits", "epochs", "fit (s)", "final loss", "weights"]
    header += ["machine"] * several_machines + ["seeds"] * several_seeds + ["note"]
    if not why:
        header, rows = header[:-1], [row[:-1] for row in rows]
    notes = ["Losses of different methods do not compare. No rule for choosing weights looks at test labels."]
    if several_seeds:
        notes[0] = f"Mean ± standard deviation over seeds. {notes[0]}"
    if several_machines:
        notes[0] += f" {SEVERAL_MACHINES}"
    return Table(
        name=f"{runs[0].dataset}-training",
        caption=f"Training on {runs[0].dataset_title}.",
        header=header,
        rows=rows,
        frame=frame,
        words=frozenset({"weights", "machine", "note"}),
        notes=tuple(notes),
    )
