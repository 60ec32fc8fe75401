"""Tables of two sets of runs: quality and costs of both, and which differences are more than noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.metrics import statistics
from bench.metrics.statistics import evidence, holm
from bench.report import cost_frames
from bench.report.cost_frames import FIGURES
from bench.report.costs import BUSY, NOISY, figure, multiply_adds
from bench.report.escape import shorten
from bench.report.runs import ReportRun, headline_ks, protocols_of, seeds_of
from bench.report.significance import ALPHA, OVER_BOTH, OVER_QUERIES, of_seeds
from bench.report.tables import BITS, NOTHING, Row, Table, number, significant, text_column
from bench.report.terminal import LABEL_WIDTH

# Enough to decide at ALPHA after Holm's adjustment over so many rows, and quick with tens of thousands of queries.
REPETITIONS, REPETITIONS_A_ROW = 2_000, 100
QUALITY_NOTE = (
    "Quality: mean ± standard deviation over the seeds that both sides finished; over each side's own where they share "
    f"none. More than noise: p < {ALPHA}, Holm-adjusted over the rows of a table; {OVER_BOTH}. for these weights: one "
    f"seed on a side; p is of a {OVER_QUERIES} and says nothing of other weights, which another seed, another number "
    "of threads or another machine give; run several seeds on both sides. unknown: values per query are not stored; "
    "`bench evaluate` makes them from the codes."
)
COST_NOTE = (
    "Costs: counts are exact, any difference is real; those with ≥ are lower bounds. Times are medians with their 95 % "
    "confidence intervals over the repeats of a measurement; more than noise where these do not overlap, nor those of "
    "the share of the machine's own rate: a day on which the whole machine is slower is no difference. Where other "
    f"programs took more than {BUSY:.0%} of the machine meanwhile, nothing can be said. Times of different machines do "
    "not compare: the share of the rate replaces them."
)
COUNTS = ("parameters_encode", "flops")
TIMES = (("batch 1", "single"), ("best batch", "batched"))


@dataclass(frozen=True)
class Pair:
    """The runs of one row: one variant of a method at one code length on one dataset, all seeds, on sides A and B."""

    label: str
    bits: int
    first: tuple[ReportRun, ...]
    second: tuple[ReportRun, ...]

    @property
    def shown_label(self) -> str:
        return shorten(self.label, 2 * LABEL_WIDTH)

    @property
    def done(self) -> tuple[list[ReportRun], list[ReportRun]]:
        """The finished runs of each side, of the seeds that both finished; of all seeds where they share none.

        One more seed on one side would pass for a change.
        """
        one, other = ([run for run in side if run.done] for side in (self.first, self.second))
        shared = set(seeds_of(one)) & set(seeds_of(other))
        if not shared:
            return one, other
        one, other = ([run for run in side if run.record.spec.seed in shared] for side in (one, other))
        return one, other


def shown_scores(pairs: Sequence[Pair]) -> list[tuple[str, int]]:
    """Protocols that both sides were evaluated under, each with the k of short tables that both know."""
    sides = [[run for pair in pairs for run in pair.done[side]] for side in (0, 1)]
    shown = []
    for protocol in (name for name in protocols_of(sides[0]) if name in protocols_of(sides[1])):
        known = [{k for run in side for k in run.scores(protocol)} for side in sides]
        common = sorted(known[0] & known[1])
        shown += [(protocol, k) for k in (headline_ks(common) if common else [])]
    return shown


def quality_table(pairs: Sequence[Pair], protocol: str, k: int) -> Table:
    """mAP@k of every row that both sides evaluated so, and the difference."""
    found = [
        (pair, one, other)
        for pair in pairs
        if (one := _evaluated(pair.done[0], protocol, k)) and (other := _evaluated(pair.done[1], protocol, k))
    ]
    per_query = [_per_query(one, other, protocol, k) for _, one, other in found]
    tested = [values for values in per_query if values is not None and not np.array_equal(*values)]
    known = evidence(tested, repetitions=max(REPETITIONS, REPETITIONS_A_ROW * len(found)))
    verdicts = map(_verdict, holm([p for p, _ in known]), (for_seeds for _, for_seeds in known))
    rows = []
    for (pair, one, other), values in zip(found, per_query, strict=True):
        first, second = (np.array([run.scores(protocol)[k] for run in side]) for side in (one, other))
        rows.append({
            "label": pair.shown_label,
            "bits": pair.bits,
            "seeds": f"{len(one)} / {len(other)}",
            "first": number(first.mean(), _spread(first)),
            "second": number(second.mean(), _spread(second)),
            "difference": f"{second.mean() - first.mean():+.3f}",
            "noise": "unknown" if values is None else "identical" if np.array_equal(*values) else next(verdicts),
        })  # fmt: skip
    seeds, difference = text_column("seeds\nA / B", "seeds"), text_column("B − A", "difference")
    return Table.of([LABEL, BITS, seeds, FIRST, SECOND, difference, NOISE], rows)


def cost_table(pairs: Sequence[Pair]) -> Table:
    """A line for every figure of every row whose costs both sides have measured."""
    rows = []
    for pair in pairs:
        one, other = (cost_frames.costs(side) for side in pair.done)
        if one.empty or other.empty:
            continue
        alike = len({*one["machine"], *other["machine"]}) == 1
        figures = [_count(one, other, name) for name in COUNTS]
        busy = any((cost_frames.rates(side)["others"] > BUSY).any() for side in pair.done)
        figures += [_time(one, other, *time, alike=alike, busy=busy) for time in TIMES]
        rows += [{"label": pair.shown_label, "bits": pair.bits, **line} for line in figures]
    titles, ratio = text_column("figure", "figure", words=True), text_column("B / A", "ratio")
    return Table.of([LABEL, BITS, titles, FIRST, SECOND, ratio, NOISE], rows)


LABEL, FIRST, SECOND = text_column("method", "label"), text_column("A", "first"), text_column("B", "second")
NOISE = text_column("more than noise?", "noise", words=True)


def _verdict(p: float, for_seeds: bool) -> str:
    shown = f"p {p:.3f}" if p >= 0.001 else "p < 0.001"
    if not for_seeds:
        return f"for these weights, {shown}"
    return f"{'* yes' if p < ALPHA else 'no'}, {shown}"


def _evaluated(runs: Sequence[ReportRun], protocol: str, k: int) -> list[ReportRun]:
    return [run for run in runs if k in run.scores(protocol)]


def _per_query(
    first: Sequence[ReportRun], second: Sequence[ReportRun], protocol: str, k: int
) -> statistics.Pair | None:  # fmt: skip
    """AP@k of both sides, (seeds, queries) each; None unless all runs store it."""
    one, other = of_seeds(first, protocol, k), of_seeds(second, protocol, k)
    # A row's runs share their dataset's fingerprint, and so the queries and their order.
    return None if one is None or other is None or one.shape[1] != other.shape[1] else (one, other)


def _spread(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _count(one: pd.DataFrame, other: pd.DataFrame, name: str) -> Row:
    title = FIGURES[name].heading
    rows = [frame.iloc[0].to_dict() for frame in (one, other)]
    if name == "flops" and any(row["flops_at_least"] for row in rows):
        return _figure(title, [multiply_adds(row) for row in rows], NOTHING, "unknown, not all counted")
    first, second = (float(row[name]) for row in rows)
    verdict = "no" if first == second else "* yes, counted"
    return _figure(title, [figure(name)(row) for row in rows], _ratio(first, second), verdict)


def _time(one: pd.DataFrame, other: pd.DataFrame, title: str, name: str, *, alike: bool, busy: bool) -> Row:
    shares = _share(one, name), _share(other, name)
    first, second = (_milliseconds(one, name), _milliseconds(other, name)) if alike else shares
    title = f"ms/video, {title}" if alike else f"share of the rate (%), {title}"
    if bool(one[f"{name}_noisy"].any()) or bool(other[f"{name}_noisy"].any()):
        verdict = NOISY
    elif busy:
        verdict = "unknown, machine busy"
    elif not _disjoint(first, second):
        verdict = "no, intervals overlap"
    else:
        # A machine that is slower as a whole makes times longer and leaves shares as they are.
        real = _disjoint(*shares) and (not alike or (first < second) == (shares[0] > shares[1]))
        verdict = "* yes, intervals apart" if real else "no, so was the machine"
    shown = [_with_interval(*first), _with_interval(*second)]
    return _figure(title, shown, _ratio(first[0], second[0]), verdict)


def _figure(title: str, sides: Sequence[str], ratio: str, noise: str) -> Row:
    first, second = sides
    return {"figure": title, "first": first, "second": second, "ratio": ratio, "noise": noise}


def _disjoint(first: tuple[float, float, float], second: tuple[float, float, float]) -> bool:
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
