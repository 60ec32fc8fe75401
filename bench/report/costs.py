"""Tables of what methods cost: encoding, and training."""

from collections.abc import Sequence

import pandas as pd

from bench.report import frames, problems
from bench.report.render import NOTHING, Cell, Table, number, significant_decimals
from bench.report.runs import ReportRun

BY = ("dataset", "method", "bound", "bits", "machine")
MEASURED = ("single_ms", "batched_ms")
CONSTANT = (
    "threads", "parameters_trained", "parameters_encode", "flops", "encoder_bytes", "code_bytes", "single_batch",
    "single_lower_ms", "single_upper_ms", "batched_batch", "batched_lower_ms", "batched_upper_ms",
)  # fmt: skip
FOOTNOTES = "abcdefghijklmnopqrstuvwxyz"


def aggregate(runs: Sequence[ReportRun]) -> pd.DataFrame:
    """Costs over seeds. Runs on different machines stay apart: their times do not compare."""
    return frames.over_seeds(frames.costs(runs), BY, spread=MEASURED, mean=CONSTANT)


def machines(frame: pd.DataFrame) -> list[str]:
    """The machines on which times were measured."""
    return sorted(frame["machine"].unique())


def encoding_table(runs: Sequence[ReportRun]) -> Table:
    """Parameters, multiply-adds, code size and encoding time. `runs` are those of one dataset."""
    frame = aggregate(runs)
    several_machines = len(machines(frame)) > 1
    several_seeds = bool((frame["seeds"] > 1).any())
    why = problems.notes(runs)
    footnotes: dict[str, str] = {}
    uncounted = {(run.method, run.bits): _uncounted(run) for run in runs if run.done}
    rows = []
    for method, bits in rows_of(runs):
        found = frame[(frame["method"] == method) & (frame["bits"] == bits)]
        if found.empty:
            blank = 6 + several_machines + several_seeds
            note = why.get((method, bits), "not measured")
            rows.append([Cell(method), Cell(str(bits)), *[Cell(NOTHING)] * blank, Cell(note)])
        for _, row in found.iterrows():
            missed = uncounted.get((method, bits), "")
            mark = footnotes.setdefault(missed, _footnote(len(footnotes))) if missed else ""
            cells = [
                Cell(method),
                Cell(str(bits)),
                Cell(number(row["parameters_trained"], decimals=0)),
                Cell(number(row["parameters_encode"], decimals=0)),
                Cell(significant(row["flops"] / 1e6), mark=mark),
                Cell(number(row["code_bytes"], decimals=0)),
                Cell(timing(row, "single")),
                Cell(timing(row, "batched")),
            ]
            cells += [Cell(row["machine"])] * several_machines + [Cell(str(row["seeds"]))] * several_seeds
            rows.append([*cells, Cell(why.get((method, bits), ""))])
    header = ["method", "bits", "parameters trained", "parameters to encode", "multiply-adds (M)", "code (bytes)"]
    header += [f"ms/video, {_batch(frame, name)}" for name in ("single", "batched")]
    header += ["machine"] * several_machines + ["seeds"] * several_seeds + ["note"]
    if not any(row[-1].text for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    notes = ["Times are medians over repeats, with the quartiles in parentheses. Multiply-adds are those of one video."]
    if several_seeds:
        notes[0] += " Over several seeds: the mean of the medians ± its standard deviation, and the mean quartiles."
    if not several_machines and not frame.empty:
        notes[0] += f" Measured on: {machines(frame)[0]}."
    notes += [f"{mark}: not counted: {missed}." for missed, mark in footnotes.items()]
    return Table(
        name=f"{runs[0].dataset}-cost",
        caption=f"Cost of encoding one video of {runs[0].dataset_title}.",
        header=header,
        rows=rows,
        frame=frame,
        words=frozenset({"machine", "note"}),
        notes=tuple(notes),
    )


def training_table(runs: Sequence[ReportRun]) -> Table:
    """Epochs, time, final loss and the rule by which weights were chosen. `runs` are those of one dataset."""
    observed = frames.training(runs)
    observed["checkpoint"] = [run.record.checkpoint for run in runs if run.done]
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
                Cell(row["checkpoint"]),
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
        notes[0] += " Times of different machines do not compare."
    return Table(
        name=f"{runs[0].dataset}-training",
        caption=f"Training on {runs[0].dataset_title}.",
        header=header,
        rows=rows,
        frame=frame,
        words=frozenset({"weights", "machine", "note"}),
        notes=tuple(notes),
    )


def rows_of(runs: Sequence[ReportRun]) -> list[tuple[str, int]]:
    """Row label and code length of every row, methods in order."""
    return [(method, bits) for _, method, bits in sorted({(run.row_order, run.method, run.bits) for run in runs})]


def timing(row: pd.Series, name: str) -> str:
    """Median milliseconds a video of batch `single` or `batched`, and the quartiles."""
    decimals = significant_decimals(row[f"{name}_ms"])
    lower, upper = (number(row[f"{name}_{end}_ms"], decimals=decimals) for end in ("lower", "upper"))
    return f"{number(row[f'{name}_ms'], row[f'{name}_ms_std'], decimals)} ({lower}–{upper})"


def _batch(frame: pd.DataFrame, name: str) -> str:
    sizes = sorted({int(size) for size in frame[f"{name}_batch"].dropna()})
    return f"batch {' or '.join(map(str, sizes))}" if sizes else name


def significant(mean: float, std: float = float("nan")) -> str:
    return number(mean, std, significant_decimals(mean))


def _uncounted(run: ReportRun) -> str:
    measured = run.record.costs
    operators = measured.uncounted_operators if measured else {}
    return ", ".join(f"{name} ×{calls}" for name, calls in sorted(operators.items()))


def _footnote(index: int) -> str:
    """a … z, aa, ab …"""
    letters = FOOTNOTES[index % 26]
    return letters if index < 26 else _footnote(index // 26 - 1) + letters
