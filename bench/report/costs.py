"""The table of what encoding costs."""

import math
from collections.abc import Callable, Sequence

import pandas as pd

from bench.report import cost_frames, frames, problems
from bench.report.cost_frames import COUNTED, FIGURES, MAIN, TIMED
from bench.report.runs import ReportRun, rows_by_method
from bench.report.tables import (
    BITS,
    MACHINE,
    METHOD,
    NOTHING,
    SEEDS,
    Cell,
    Column,
    Row,
    Table,
    note_column,
    number,
    one_machine,
    percent,
    rows_for,
    several_machines,
    several_seeds,
    significant,
    significant_decimals,
)

BY = ("dataset", "method", "bound", "bits", "machine")
MEASURED = tuple(f"{name}_ms" for name in MAIN)
CONSTANT = (*COUNTED, "flops_at_least", *(f"{name}_{column}" for name in MAIN for column in TIMED if column != "ms"))
SEVERAL_MACHINES = "Times of different machines do not compare: rank those of one machine only."
SHARE = (
    "Share of the rate: the time that the multiply-adds and bytes moved would need at the machine's measured rates, "
    "over the time taken."
)
NOISY = "too noisy"
NOISE = f"{NOISY}: half of the 95 % confidence interval of the median is more than a tenth of it."
BUSY = 0.1
"""The share of the machine that other programs may take before times count as disturbed."""
AT_LEAST = "≥"
LOWER_BOUND = (
    f"{AT_LEAST}: an operator that may hold multiply-adds has no count, so that the figure is a lower bound; it takes "
    "part in no front, roofline or comparison of multiply-adds."
)
COUNTS = (
    "Multiply-adds are those of one video as fvcore counts them, and of recurrent layers; other operations are those "
    "that it leaves out and that have a known formula. Peak memory at batch 1 / 64."
)
FOOTNOTES = "abcdefghijklmnopqrstuvwxyz"


def aggregate(runs: Sequence[ReportRun]) -> pd.DataFrame:
    """Costs over measurements. Those of different machines stay separate: their times do not compare."""
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
    rows = rows_for(rows_by_method(runs), frame)
    missed = {(run.method, run.bits): _counting(run) for run in runs if run.done}
    marks = {text: _footnote(index) for index, text in enumerate(dict.fromkeys(filter(None, missed.values())))}
    measured = set(zip(frame["method"], frame["bits"], strict=True))
    why = problems.notes(runs)
    for method, bits in rows_by_method(runs):
        if (method, bits) not in measured:
            why[method, bits] = _missing(runs, method, bits)
    special: dict[str, Callable[[Row], Cell | str]] = {
        "flops": lambda row: Cell(
            multiply_adds(row), mark=marks.get(missed.get((row["method"], row["bits"]), ""), "")
        ),
        "peak_bytes": _peaks,
    }  # fmt: skip
    columns = [
        METHOD,
        BITS,
        *(Column(quantity.heading, special.get(name, figure(name))) for name, quantity in FIGURES.items()),
        Column("ms/video, batch 1", lambda row: timing(row, "single"), when=one_machine),
        Column("ms/video, best batch", lambda row: timing(row, "batched"), when=one_machine),
        Column("share of the rate, batch 1", lambda row: _share(row, "single"), when=several_machines),
        Column("share of the rate, best batch", lambda row: _share(row, "batched"), when=several_machines),
        MACHINE,
        Column("measurements", SEEDS.value, when=several_seeds),
        note_column(why),
    ]
    return Table.of(
        columns,
        rows,
        name=f"{runs[0].dataset}-cost",
        caption=f"Cost of encoding one video of {runs[0].dataset_title}.",
        frame=frame,
        notes=[
            COUNTS,
            *(f"{mark}: {text}." for text, mark in marks.items()),
            LOWER_BOUND if frame["flops_at_least"].any() else "",
            *_times_notes(frame, several_seeds(rows)),
            disturbed(runs),
        ],
    )


def timing(row: Row, name: str) -> str:
    """Median milliseconds a video at batch 1 (`single`) or at the best batch size (`batched`), and the quartiles."""
    if math.isnan(row[f"{name}_ms"]):
        return NOTHING
    decimals = significant_decimals(row[f"{name}_ms"])
    lower, upper = (number(row[f"{name}_{end}_ms"], decimals=decimals) for end in ("lower", "upper"))
    shown = f"{number(row[f'{name}_ms'], row[f'{name}_ms_std'], decimals)} ({lower}–{upper})"
    return f"{shown} {NOISY}" if row[f"{name}_noisy"] > 0 else shown


def multiply_adds(row: Row) -> str:
    """Millions of multiply-adds; with ≥ where not everything is counted."""
    return bounded(row, figure("flops")(row))


def bounded(row: Row, figure: str) -> str:
    """A figure that follows from the multiply-adds of a row; with ≥ where these are a lower bound."""
    return f"{AT_LEAST} {figure}" if row["flops_at_least"] > 0 else figure


def disturbed(runs: Sequence[ReportRun]) -> str:
    """A warning where other programs ran while times were measured; empty where none did."""
    most = cost_frames.rates(runs)["others"].max()
    if not most > BUSY:
        return ""
    return (
        f"Disturbed: other programs took up to {most:.0%} of the machine while these times were measured, which may "
        "have changed them. Measure again when it is idle: add --existing remeasure to the same bench run."
    )


def _whole(name: str) -> Callable[[Row], str]:
    """A cell with a whole number."""
    return lambda row: number(row[name], decimals=0)


def figure(name: str) -> Callable[[Row], str]:
    """A cell with what `Costs` declares by this name, in its unit."""
    scale = FIGURES[name].scale
    return _whole(name) if scale == 1 else lambda row: significant(row[name] / scale)


def _peaks(row: Row) -> str:
    peaks = [significant(row[f"peak_bytes_{batch}"] / FIGURES["peak_bytes"].scale) for batch in (1, 64)]
    return NOTHING if math.isnan(row["peak_bytes_1"]) else " / ".join(peaks)


def _share(row: Row, name: str) -> str:
    """The share of the machine's rate in percent, of `single` or `batched`."""
    return bounded(row, percent(row[f"{name}_share"])) + f" {NOISY}" * (row[f"{name}_noisy"] > 0)


def _times_notes(frame: pd.DataFrame, several_measurements: bool) -> list[str]:
    found = machines(frame)
    if not found:
        return []
    noise = NOISE if (frame[[f"{name}_noisy" for name in MAIN]] > 0).any(axis=None) else ""
    if len(found) > 1:
        return [f"{SHARE} {SEVERAL_MACHINES}", noise]
    batches = ", ".join(str(int(batch)) for batch in sorted(frame["batched_batch"].unique()))
    return [
        "Times are medians over repeats, with the quartiles in parentheses, without reading features; best batch: the "
        f"size with the highest throughput ({batches}). Measured on: {found[0]}. Encoders that are alike, such as "
        "those of several seeds, are measured once and share the figures.",
        "Over several measurements: the mean of the medians ± its standard deviation, and the mean quartiles."
        if several_measurements
        else "",
        noise,
    ]


def _missing(runs: Sequence[ReportRun], method: str, bits: int) -> str:
    """The reason why a row has no costs."""
    here = [run for run in runs if (run.method, run.bits) == (method, bits)]
    reasons = [problems.notes(here).get((method, bits)), *(run.record.reason for run in here if run.done)]
    made = "made from labels" if all(run.record.uses_labels for run in here) else None
    return next((reason for reason in [*reasons, made] if reason), "not measured")


def _counting(run: ReportRun) -> str:
    """What fvcore did not count: by a formula of the method, by ours, or nowhere."""
    measured = run.record.costs
    if measured is None:
        return ""
    by_hand = [f"{count / 1e6:.1f} M in {name}" for name, count in measured.counted_by_hand.items()]
    parts = [f"counted by the method's own formula: {', '.join(by_hand)}"] if by_hand else []
    calls = measured.uncounted_operators
    if calls:
        listed = ", ".join(f"{name} ×{count}" for name, count in sorted(calls.items()))
        parts.append(f"not counted by fvcore: {listed}")
    nowhere = sorted(name for name in calls if not {name, name.removesuffix("_")} & measured.other_operations.keys())
    if nowhere:
        parts.append(f"of these counted nowhere: {', '.join(nowhere)}")
    return "; ".join(parts)


def _footnote(index: int) -> str:
    """a … z, aa, ab …"""
    letters = FOOTNOTES[index % 26]
    return letters if index < 26 else _footnote(index // 26 - 1) + letters
