"""The table of what encoding costs."""

from collections.abc import Sequence

import pandas as pd

from bench.report import cost_frames, frames, problems
from bench.report.cost_frames import COUNTED, MAIN, TIMED
from bench.report.render import NOTHING, Cell, Table, number, significant_decimals
from bench.report.runs import ReportRun

BY = ("dataset", "method", "bound", "bits", "machine")
MEASURED = tuple(f"{name}_ms" for name in MAIN)
CONSTANT = (*COUNTED, "flops_at_least", *(f"{name}_{column}" for name in MAIN for column in TIMED if column != "ms"))
SEVERAL_MACHINES = "Times of different machines do not compare: rank those of one machine only."
SHARE = (
    "Share of the rate: the time that the multiply-adds and bytes moved would need at the machine's measured rates, "
    "over the time taken."
)
NOISY = "too noisy"
BUSY = 0.1
"""The share of the machine that other programs may take before times count as disturbed."""
AT_LEAST = "≥"
LOWER_BOUND = (
    f"{AT_LEAST}: an operator that may hold multiply-adds has no count, so that the figure is a lower bound; it takes "
    "part in no front, roofline or comparison of multiply-adds."
)
FOOTNOTES = "abcdefghijklmnopqrstuvwxyz"
STATIC_HEADER = [
    "parameters instantiated", "trained", "to encode", "multiply-adds (M)", "other operations (M)", "code (bytes)",
    "model (kB)", "peak memory (MB)",
]  # fmt: skip


def aggregate(runs: Sequence[ReportRun]) -> pd.DataFrame:
    """Costs over measurements. Those of different machines stay apart: their times do not compare."""
    frame = cost_frames.costs(runs)
    flags = ["flops_at_least", *(f"{name}_noisy" for name in MAIN)]
    mean = frames.over_seeds(frame.astype(dict.fromkeys(flags, float)), BY, spread=MEASURED, mean=CONSTANT)
    return mean.assign(flops_at_least=mean["flops_at_least"] > 0)


def machines(frame: pd.DataFrame) -> list[str]:
    """The machines on which times were measured."""
    return sorted(frame["machine"].unique())


def encoding_table(runs: Sequence[ReportRun]) -> Table:
    """Counts, sizes and the two main encoding times. `runs` are those of one dataset.

    With several machines shares of their rates take the place of times, which would not compare.
    """
    frame = aggregate(runs)
    several_machines = len(machines(frame)) > 1
    several_measurements = bool((frame["seeds"] > 1).any())
    why = problems.notes(runs)
    footnotes: dict[str, str] = {}
    uncounted = {(run.method, run.bits): _uncounted(run) for run in runs if run.done}
    rows = []
    for method, bits in rows_of(runs):
        found = frame[(frame["method"] == method) & (frame["bits"] == bits)]
        if found.empty:
            blank = len(STATIC_HEADER) + 2 + several_machines + several_measurements
            rows.append([Cell(method), Cell(str(bits)), *[Cell(NOTHING)] * blank, Cell(_missing(runs, method, bits))])
        for _, row in found.iterrows():
            missed = uncounted.get((method, bits), "")
            mark = footnotes.setdefault(missed, _footnote(len(footnotes))) if missed else ""
            cells = [Cell(method), Cell(str(bits)), *counted(row, mark)]
            cells += [Cell(share(row, name) if several_machines else timing(row, name)) for name in MAIN]
            cells += [Cell(row["machine"])] * several_machines
            cells += [Cell(str(row["seeds"]))] * several_measurements
            rows.append([*cells, Cell(why.get((method, bits), ""))])
    header = ["method", "bits", *STATIC_HEADER]
    unit = "share of the rate" if several_machines else "ms/video"
    header += [f"{unit}, batch 1", f"{unit}, best batch"]
    header += ["machine"] * several_machines + ["measurements"] * several_measurements + ["note"]
    if not any(row[-1].text for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    notes = [" ".join(filter(None, (_times_note(frame, several_measurements), disturbed(runs))))]
    notes += [f"{mark}: {missed}." for missed, mark in footnotes.items()]
    return Table(
        name=f"{runs[0].dataset}-cost",
        caption=f"Cost of encoding one video of {runs[0].dataset_title}.",
        header=header,
        rows=rows,
        frame=frame,
        words=frozenset({"machine", "note"}),
        notes=tuple(notes),
    )


def rows_of(runs: Sequence[ReportRun]) -> list[tuple[str, int]]:
    """Row label and code length of every row, methods in order."""
    return [(method, bits) for _, method, bits in sorted({(run.row_order, run.method, run.bits) for run in runs})]


def counted(row: pd.Series, mark: str = "") -> list[Cell]:
    """The cells of `STATIC_HEADER`: what does not depend on the machine."""
    peaks = [significant(row[f"peak_bytes_{batch}"] / 1e6) for batch in (1, 64)]
    return [
        *(Cell(number(row[f"parameters_{part}"], decimals=0)) for part in ("instantiated", "trained", "encode")),
        Cell(multiply_adds(row), mark=mark),
        Cell(significant(row["other_operations"] / 1e6)),
        Cell(number(row["code_bytes"], decimals=0)),
        Cell(significant(row["encoder_bytes"] / 1e3)),
        Cell(" / ".join(peaks)),
    ]


def timing(row: pd.Series, name: str) -> str:
    """Median milliseconds a video at batch 1 (`single`) or at the best batch size (`batched`), and the quartiles."""
    decimals = significant_decimals(row[f"{name}_ms"])
    lower, upper = (number(row[f"{name}_{end}_ms"], decimals=decimals) for end in ("lower", "upper"))
    shown = f"{number(row[f'{name}_ms'], row[f'{name}_ms_std'], decimals)} ({lower}–{upper})"
    return f"{shown} {NOISY}" if row[f"{name}_noisy"] else shown


def share(row: pd.Series, name: str) -> str:
    """The share of the machine's rate in percent, of `single` or `batched`."""
    return bounded(row, percent(row[f"{name}_share"])) + (f" {NOISY}" if row[f"{name}_noisy"] else "")


def multiply_adds(row: pd.Series) -> str:
    """Millions of multiply-adds; with ≥ where not everything is counted."""
    return bounded(row, significant(row["flops"] / 1e6))


def bounded(row: pd.Series, figure: str) -> str:
    """A figure that follows from the multiply-adds of a row; with ≥ where these are a lower bound."""
    return f"{AT_LEAST} {figure}" if row["flops_at_least"] else figure


def percent(value: float) -> str:
    """Three significant digits of a share."""
    return f"{significant(100 * value)} %"


def significant(mean: float, std: float = float("nan")) -> str:
    return number(mean, std, significant_decimals(mean))


def _times_note(frame: pd.DataFrame, several_measurements: bool) -> str:
    texts = [
        "Multiply-adds are those of one video as fvcore counts them, and of recurrent layers; other operations are "
        "those that it leaves out and that have a known formula. Peak memory at batch 1 / 64."
    ]
    if frame["flops_at_least"].any():
        texts.append(LOWER_BOUND)
    found = machines(frame)
    if len(found) > 1:
        texts.append(f"{SHARE} {SEVERAL_MACHINES}")
    elif found:
        batches = ", ".join(str(int(batch)) for batch in sorted(frame["batched_batch"].unique()))
        texts.append(
            "Times are medians over repeats, with the quartiles in parentheses, without reading features; best batch: "
            f"the size with the highest throughput ({batches}). Measured on: {found[0]}."
        )
        if several_measurements:
            texts.append(
                "Over several measurements: the mean of the medians ± its standard deviation, and the mean quartiles."
            )
        texts.append(
            "Encoders that are alike, such as those of several seeds, are measured once and share the figures."
        )
        if (frame[[f"{name}_noisy" for name in MAIN]] > 0).any(axis=None):
            texts.append(f"{NOISY}: half of the 95 % confidence interval of the median is more than a tenth of it.")
    return " ".join(texts)


def disturbed(runs: Sequence[ReportRun]) -> str:
    """A warning where other programs ran while times were measured; empty where none did."""
    most = cost_frames.rates(runs)["others"].max()
    if not most > BUSY:
        return ""
    return (
        f"Disturbed: other programs took up to {most:.0%} of the machine meanwhile; by how much that moved these times "
        "cannot be said. Measure again when it is quiet."
    )


def _missing(runs: Sequence[ReportRun], method: str, bits: int) -> str:
    """Why a row has no costs."""
    here = [run for run in runs if (run.method, run.bits) == (method, bits)]
    reasons = [problems.notes(here).get((method, bits)), *(run.record.reason for run in here if run.done)]
    made = "made from labels" if all(run.record.uses_labels for run in here) else None
    return next((reason for reason in [*reasons, made] if reason), "not measured")


def _uncounted(run: ReportRun) -> str:
    """What fvcore has no count for, and what of that nothing counts."""
    measured = run.record.costs
    if measured is None or not measured.uncounted_operators:
        return ""
    calls = measured.uncounted_operators
    nowhere = sorted(name for name in calls if not {name, name.removesuffix("_")} & measured.other_operations.keys())
    text = f"not counted by fvcore: {', '.join(f'{name} ×{count}' for name, count in sorted(calls.items()))}"
    return f"{text}; of these counted nowhere: {', '.join(nowhere)}" if nowhere else text


def _footnote(index: int) -> str:
    """a … z, aa, ab …"""
    letters = FOOTNOTES[index % 26]
    return letters if index < 26 else _footnote(index // 26 - 1) + letters
