"""The choice of a code under a budget of bytes and milliseconds: the codes that fit, and a recommendation in words."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.base.text import folded, one_line
from bench.metrics.protocols import measure_of
from bench.metrics.statistics import Interval, bootstrap_difference, bootstrap_mean, not_worse_than_best
from bench.report.findings import listed
from bench.report.quality import DECIMALS
from bench.report.runs import (
    REFERENCE,
    ReportRun,
    datasets_of,
    headline_ks,
    name_runs,
    protocols_of,
    rows_by_bits,
    seeds_of,
)
from bench.report.significance import (
    ALPHA,
    HOLM,
    LEVEL,
    OVER_BOTH,
    OVER_QUERIES,
    REPETITIONS,
    bootstrap_means,
    of_seeds,
)
from bench.report.tables import NOTHING, Column, Row, Table, number, significant, to_text
from bench.store.stored_run import StoredRun


@dataclass(frozen=True)
class Budget:
    """The most that a code may take."""

    size: int
    """Bytes a video."""
    milliseconds: float = math.inf
    """For a query: encoding one video, and exact search of the gallery."""


@dataclass(frozen=True)
class Candidate:
    """A method at one length, or a reference that is no hash."""

    name: str
    is_hash: bool
    size: int
    """Bytes a video."""
    multiply_adds: float
    """Of encoding one video; infinite where not counted."""
    milliseconds: float
    """For a query; NaN where not measured, as of references, whose search is not timed."""
    scores: NDArray[np.float64]
    """AP@k or recall@k, (seeds, queries)."""

    @property
    def mean(self) -> float:
        return float(self.scores.mean())

    @property
    def cost(self) -> tuple[float, float, float]:
        """Smaller is cheaper: bytes, then multiply-adds, which unlike times are exact; of equal ones the better."""
        return self.size, self.multiply_adds, -self.mean


def choice(stored: Iterable[StoredRun], budget: Budget) -> str:
    """Per dataset: what fits the budget, by quality, and a recommendation. Raises InputError if no code fits."""
    parts, unfit = [], []
    for runs in datasets_of(name_runs(stored)).values():
        try:
            parts.append(_of_dataset(runs, budget))
        except InputError as error:
            unfit.append(str(error))
    if not parts:
        raise InputError(
            unfit[0] if unfit else "none of the runs can be read; `bench results verify` shows the reasons"
        )
    return "\n\n".join([*parts, *unfit])


def _of_dataset(runs: Sequence[ReportRun], budget: Budget) -> str:
    title = one_line(runs[0].dataset_title)
    protocol = (protocols_of(runs) or [""])[-1]  # strict, if it is there: here no paper's numbers are compared with
    ks = next((list(run.scores(protocol)) for run in runs if run.scores(protocol)), [20])
    k = headline_ks(ks)[0]
    found = _candidates(runs, protocol, k, budget.size)
    unlimited = math.isinf(budget.milliseconds)
    codes = [one for one in found if one.is_hash and (unlimited or one.milliseconds <= budget.milliseconds)]
    if not codes:
        fastest = min((one.milliseconds for one in found if one.is_hash), default=math.nan)
        why = f"; the fastest takes {significant(fastest)} ms a query" if fastest > budget.milliseconds else ""
        raise InputError(f"{title}: no finished run of a hash code fits --bytes {budget.size}{_within(budget)}{why}")
    others = [one for one in found if not one.is_hash]
    measure = f"{measure_of(protocol)}@{k}"
    best, near = _not_worse(codes)
    chosen = min([best, *near], key=lambda one: one.cost)
    sentences = [
        *_recommended(chosen, best, [one for one in near if one is not chosen], measure, alone=len(codes) == 1),
        *_quantisers(best, [one for one in others if one.size <= budget.size]),
        *(f"{one.name}, without any code, has {_score(one)}." for one in others if one.size > budget.size),
        _certainty(runs, best.scores.shape[1]),
    ]
    marks = {**{one.name: "†" for one in near}, best.name: "best", chosen.name: "taken"}
    table = _table([*codes, *others], marks, measure)
    meaning = (
        f"{measure} under protocol {protocol}{_over(runs)}; at most {budget.size} bytes a video{_within(budget)}. "
        "ms/query: encoding a video, and exact search of the gallery by its code."
    )
    return "\n".join([title, "=" * len(title), meaning, "", table, "", *map(folded, sentences)])


def _candidates(runs: Sequence[ReportRun], protocol: str, k: int, most: int) -> list[Candidate]:
    """The rows of finished runs of at most so many bytes, and exact search, whatever it takes; the best first."""
    found: dict[tuple[str, int], Candidate] = {}
    for method, bits in rows_by_bits(runs):
        row = [run for run in runs if (run.method, run.bits) == (method, bits) and run.done]
        if not row or (row[0].record.bound and not row[0].record.reference):
            continue
        measured = row[0].record.costs
        if row[0].record.reference and not measured:  # only its costs say how many bytes it keeps
            continue
        size = measured.code_bytes if measured else -(-bits // 8)
        if size > most and size == -(-bits // 8):  # exact search takes other bytes than the length says
            continue
        scores = of_seeds(row, protocol, k)
        if scores is None:
            raise InputError(f"{method}, {bits} bits: has no {protocol}@{k} of every query; `bench evaluate` adds it")
        is_hash = not row[0].record.reference
        name = f"{method}, {bits} bits" if is_hash else f"{method.removesuffix(REFERENCE)} in {size:,} bytes"
        milliseconds = math.nan
        if measured and measured.search:
            milliseconds = measured.main.single.median_ms + measured.search.timing.median_ms
        found[name, size] = Candidate(
            one_line(name), is_hash, size, measured.flops if measured else math.inf, milliseconds, scores
        )
    return sorted(found.values(), key=lambda one: -one.mean)


def _recommended(
    chosen: Candidate, best: Candidate, others: Sequence[Candidate], measure: str, alone: bool
) -> list[str]:
    """What to take, and why; `others` cannot be told apart from the best either."""
    low, high = bootstrap_mean(chosen.scores, level=LEVEL)
    interval = "" if math.isnan(low) else f" ({LEVEL:.0%} CI {_ends(low, high)})"
    time = "" if math.isnan(chosen.milliseconds) else f", {significant(chosen.milliseconds)} ms a query"
    take = f"Take {chosen.name}: {chosen.size} bytes a video, {measure} {_score(chosen)}{interval}{time}."
    same = listed(one.name for one in others) if others else ""
    if chosen is not best:
        return [
            take,
            f"It is the cheapest of the codes that cannot be told apart from the best, {best.name}, which has "
            f"{_score(best)} with {best.size} bytes{_ahead(best, chosen, 'more')}.",
            *([f"Nor can {same} be told apart from the best."] if len(others) > 1 else []),
        ]
    if same:
        return [take, f"It is the best. {same} cannot be told apart from it, and cost no less."]
    return [
        take,
        "No other code was compared." if alone else "It is the best, and significantly better than all others.",
    ]


def _quantisers(best: Candidate, quantisers: Sequence[Candidate]) -> list[str]:
    """Whether what is no hash, in the bytes of the budget, does better than the best code; the best first."""
    if not quantisers:
        return []
    first, near = _not_worse([best, *quantisers])
    if first is best:
        other = quantisers[0]
        return [f"No quantiser within these bytes does better than the best code: {other.name} has {_score(other)}."]
    if best in near:
        return [f"{first.name} is no hash; with {_score(first)} it cannot be told apart from the best code."]
    return [
        f"{first.name} is no hash, and is better than every code here: {_score(first)}"
        f"{_ahead(first, best, 'above the best')}. Take it where no Hamming distance is needed."
    ]


def _not_worse(compared: Sequence[Candidate]) -> tuple[Candidate, list[Candidate]]:
    """The best, and those that cannot be told apart from it."""
    by_name = {one.name: one for one in compared}
    best, near = not_worse_than_best(
        {name: one.scores for name, one in by_name.items()}, ALPHA, repetitions=REPETITIONS
    )
    return by_name[best], [by_name[name] for name in near]


def _ahead(best: Candidate, other: Candidate, words: str) -> str:
    """How much better the best is, with an interval where there is one."""
    found = bootstrap_difference(best.scores, other.scores, level=LEVEL, resamples=REPETITIONS)
    interval = Interval(found.low, found.high)
    if math.isnan(found.low):  # one seed: over queries alone
        interval = bootstrap_mean(best.scores.mean(axis=0) - other.scores.mean(axis=0), level=LEVEL)
    ends = "" if math.isnan(interval.low) else f" ({LEVEL:.0%} CI {_ends(*interval)})"
    return f", {number(found.mean, decimals=DECIMALS)}{ends} {words}"


def _certainty(runs: Sequence[ReportRun], queries: int) -> str:
    seeds = len(seeds_of(runs))
    test = OVER_BOTH if seeds > 1 else OVER_QUERIES
    alone = "" if seeds > 1 else " One seed: other seeds may order the codes otherwise."
    return (
        f"“Cannot be told apart” (†): {test}, {HOLM.partition(' over')[0]}, with {queries:,} queries; more queries may "
        f"show a difference.{alone}"
    )


def _table(candidates: Sequence[Candidate], marks: Mapping[str, str], measure: str) -> str:
    intervals = bootstrap_means({one.name: one.scores.mean(axis=0) for one in candidates})
    rows: list[Row] = [
        {"one": one, "interval": intervals[one.name], "mark": marks.get(one.name, "")}
        for one in sorted(candidates, key=lambda one: -one.mean)
    ]
    columns = [
        Column("", lambda row: row["one"].name + ("" if row["one"].is_hash else REFERENCE)),
        Column("bytes", lambda row: f"{row['one'].size:,}"),
        Column(measure, lambda row: _score(row["one"])),
        Column(f"{LEVEL:.0%} CI", lambda row: NOTHING if math.isnan(row["interval"].low) else _ends(*row["interval"])),
        Column("ms/query", lambda row: significant(row["one"].milliseconds)),
        Column("", lambda row: row["mark"], words=True),
    ]
    return to_text(Table.of(columns, rows))


def _score(one: Candidate) -> str:
    return number(one.mean, decimals=DECIMALS)


def _ends(low: float, high: float) -> str:
    return f"{number(low, decimals=DECIMALS)}–{number(high, decimals=DECIMALS)}" if low >= 0 else (
        f"{number(low, decimals=DECIMALS)} to {number(high, decimals=DECIMALS)}"
    )  # fmt: skip


def _over(runs: Sequence[ReportRun]) -> str:
    seeds = len(seeds_of(runs))
    return f", mean over {seeds} seeds" if seeds > 1 else ""


def _within(budget: Budget) -> str:
    return "" if math.isinf(budget.milliseconds) else f" and {budget.milliseconds:g} ms a query"
