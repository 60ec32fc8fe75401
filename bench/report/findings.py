"""Findings in sentences: which method is best at which length, with what certainty, and at what cost."""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.metrics.protocols import measure_of
from bench.report.quality import DECIMALS, select
from bench.report.runs import headline_ks
from bench.report.tables import number, significant


def findings(title: str, scores: pd.DataFrame, costs: pd.DataFrame) -> list[str]:
    """Sentences on one dataset, one for each code length, and one on the time that the best method takes.

    Args:
        title: of the dataset.
        scores: from `quality.marked`, under one protocol.
        costs: a row a method and code length with `batched_ms`, of one machine; may be empty.
    """
    k = headline_ks([int(k) for k in scores["k"].unique()])[0]
    here = scores[(scores["k"] == k) & ~scores["bound"].astype(bool)]
    measure = f"{measure_of(str(scores['protocol'].iloc[0]))}@{k}"
    found = []
    for bits, rows in here.groupby("bits"):
        ranked = rows.sort_values("map", ascending=False, kind="stable")
        if len(ranked) > 1 and ranked["best"].any():
            found.append(
                f"{title}, {bits} bits: {_quality(measure, ranked)}{_cost(measure, ranked, select(costs, bits=bits))}."
            )
    return found


def _quality(measure: str, ranked: pd.DataFrame) -> str:
    """Who is best, and who cannot be told apart from it."""
    best, others = ranked[ranked["best"]], ranked[~ranked["best"]]
    names = listed(best["method"])
    have = "share" if len(best) > 1 else "has"
    sentence = f"{names} {have} the highest {measure}, {number(best['map'].iloc[0], decimals=DECIMALS)}"
    if others.empty:
        return sentence
    near = others[others["not_significantly_worse"].eq(other=True)]
    if not near.empty:
        return f"{sentence}; {listed(near['method'])} cannot be told apart from it"
    gap = best["map"].iloc[0] - others["map"].iloc[0]
    tested = others["not_significantly_worse"].notna().all()
    return (
        f"{sentence}, {number(gap, decimals=DECIMALS)} above {others['method'].iloc[0]}"
        f"{'' if tested else ' (which no test could confirm)'}"
    )


def _cost(measure: str, ranked: pd.DataFrame, costs: pd.DataFrame) -> str:
    """What a code of the best method costs, beside one of the fastest method."""
    times: dict[Any, float] = dict(zip(costs["method"], costs["batched_ms"], strict=True)) if len(costs) else {}
    timed = ranked[ranked["method"].map(lambda method: not math.isnan(times.get(method, math.nan)))]
    if timed.empty or not timed["best"].iloc[0]:
        return ""
    best, fastest = str(timed["method"].iloc[0]), str(min(timed["method"], key=lambda method: times[method]))
    sentence = f". {best} encodes a video in {significant(times[best])} ms"
    if fastest == best:
        return f"{sentence}; no other is faster"
    lost = timed["map"].iloc[0] - timed.loc[timed["method"] == fastest, "map"].iloc[0]
    lower = f"its {measure} is {number(lost, decimals=DECIMALS)} lower"
    return f"{sentence}, {fastest} in {significant(times[fastest])} ms: {lower}"


def listed(names: Iterable[str]) -> str:
    """`A, B and C`."""
    *first, last = map(str, names)
    return f"{', '.join(first)} and {last}" if first else last
