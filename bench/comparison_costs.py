"""What encoding costs in two sets of runs, and which differences are more than noise."""

from collections.abc import Sequence

import pandas as pd

from bench.comparison_quality import Row
from bench.report import cost_frames
from bench.report.costs import BUSY, NOISY, multiply_adds, significant
from bench.report.render import NOTHING, number

COST_HEADER = ("method", "bits", "figure", "A", "B", "B / A", "more than noise?")
COST_NOTE = (
    "Costs: counts are exact, any difference is real; those with ≥ are lower bounds. Times are medians with their 95 % "
    "confidence intervals over the repeats of a measurement; more than noise where these lie apart, and those of the "
    "share of the machine's own rate as well: a day on which the whole machine is slower is no difference. Where other "
    f"programs took more than {BUSY:.0%} of the machine meanwhile, nothing can be said. Times of different machines do "
    "not compare: the share of the rate takes their place."
)
COUNTS = (("parameters to encode", "parameters_encode", 1), ("multiply-adds (M)", "flops", 1e6))
TIMES = (("batch 1", "single"), ("best batch", "batched"))


def cost_rows(rows: Sequence[Row]) -> list[list[str]]:
    """The cells under `COST_HEADER` of every row whose costs both sides have measured, a line for every figure."""
    cells = []
    for row in rows:
        one, other = (cost_frames.costs(side) for side in row.done)
        if one.empty or other.empty:
            continue
        machines = {*one["machine"], *other["machine"]}
        figures = [_count(one, other, *count) for count in COUNTS]
        busy = any((cost_frames.rates(side)["others"] > BUSY).any() for side in row.done)
        figures += [_time(one, other, *time, alike=len(machines) == 1, busy=busy) for time in TIMES]
        cells += [[row.label, str(row.bits), *figure] for figure in figures]
    return cells


def _count(one: pd.DataFrame, other: pd.DataFrame, title: str, column: str, unit: float) -> list[str]:
    values = [float(frame[column].iloc[0]) for frame in (one, other)]
    if column == "flops" and any(frame["flops_at_least"].iloc[0] for frame in (one, other)):
        return [title, *(multiply_adds(frame.iloc[0]) for frame in (one, other)), NOTHING, "unknown, not all counted"]
    shown = [number(value, decimals=0) if unit == 1 else significant(value / unit) for value in values]
    return [title, *shown, _ratio(*values), "no" if values[0] == values[1] else "* yes, counted"]


def _time(one: pd.DataFrame, other: pd.DataFrame, title: str, name: str, *, alike: bool, busy: bool) -> list[str]:
    shares = _share(one, name), _share(other, name)
    first, second = (_milliseconds(one, name), _milliseconds(other, name)) if alike else shares
    title = f"ms/video, {title}" if alike else f"share of the rate (%), {title}"
    if bool(one[f"{name}_noisy"].any()) or bool(other[f"{name}_noisy"].any()):
        verdict = NOISY
    elif busy:
        verdict = "unknown, machine busy"
    elif not _apart(first, second):
        verdict = "no, intervals overlap"
    else:
        # A machine that is slower as a whole makes times longer and leaves shares as they are.
        real = _apart(*shares) and (not alike or (first < second) == (shares[0] > shares[1]))
        verdict = "* yes, intervals apart" if real else "no, so was the machine"
    return [title, _with_interval(*first), _with_interval(*second), _ratio(first[0], second[0]), verdict]


def _apart(first: tuple[float, float, float], second: tuple[float, float, float]) -> bool:
    return first[2] < second[1] or second[2] < first[1]


def _milliseconds(frame: pd.DataFrame, name: str) -> tuple[float, float, float]:
    """Mean of the medians, and from the lowest to the highest end of the measurements' intervals."""
    return (
        float(frame[f"{name}_ms"].mean()),
        float(frame[f"{name}_low_ms"].min()),
        float(frame[f"{name}_high_ms"].max()),
    )


def _share(frame: pd.DataFrame, name: str) -> tuple[float, float, float]:
    """The same of the share of the machine's rate, in percent; it falls as the time grows."""
    share, median = frame[f"{name}_share"], frame[f"{name}_ms"]
    ends = [100 * share * median / frame[f"{name}_{end}_ms"] for end in ("high", "low")]
    return float(100 * share.mean()), float(ends[0].min()), float(ends[1].max())


def _with_interval(value: float, low: float, high: float) -> str:
    return f"{significant(value)} ({significant(low)}–{significant(high)})"


def _ratio(first: float, second: float) -> str:
    return f"{second / first:.2f}" if first else NOTHING
