"""One mAP@k under every protocol side by side, with confidence intervals."""

from collections.abc import Sequence

import pandas as pd

from bench.metrics.protocols import measure_of
from bench.report import problems, quality
from bench.report.confidence import EXPLANATION, LEVEL, map_intervals
from bench.report.render import NOTHING, Cell, Table, number
from bench.report.runs import ReportRun, protocols_of, rows_by_bits, seeds_of


def table(runs: Sequence[ReportRun], scores: pd.DataFrame) -> Table:
    """Methods and code lengths in rows, protocols in columns, at the first headline k.

    `runs` are those of one dataset, one of them finished; `scores` comes from `quality.aggregate`.
    """
    k = quality.headline_ks([int(k) for k in scores["k"].unique()])[0]
    protocols = protocols_of(runs)
    measure = measure_of(protocols[0])  # a dataset has labels, or it has none
    frame = _with_intervals(runs, quality.select(scores, k=k), protocols, k)
    several_seeds = bool((frame["seeds"] > 1).any())
    why = problems.notes(runs)
    rows = []
    for method, bits in rows_by_bits(runs):
        found = quality.select(frame, method=method, bits=bits).set_index("protocol").reindex(protocols)
        cells = [Cell(method), Cell(str(bits))]
        for _, row in found.iterrows():
            cells += [Cell(number(row["map"], row["map_std"])), Cell(interval(row["ci_low"], row["ci_high"]))]
        cells += [Cell(number(found["seeds"].max(), decimals=0))] * several_seeds
        rows.append([*cells, Cell(why.get((method, bits), ""))])
    header = ["method", "bits"]
    header += [f"{protocol} {what}" for protocol in protocols for what in (f"{measure}@{k}", f"{LEVEL:.0%} CI")]
    header += ["seeds"] * several_seeds + ["note"]
    if not why:
        header, rows = header[:-1], [row[:-1] for row in rows]
    texts = [quality.protocol_sentence(runs, protocol) for protocol in protocols]
    if several_seeds:
        texts.append(quality.seeds_sentence(seeds_of(runs)))
    return Table(
        name=f"{runs[0].dataset}-protocols",
        caption=f"{measure}@{k} on {runs[0].dataset_title} under {' and '.join(protocols)}.",
        header=header,
        rows=rows,
        frame=frame,
        words=frozenset({"note"}),
        notes=(" ".join(texts), EXPLANATION),
    )


def interval(low: float, high: float) -> str:
    """`0.401–0.455`; a dash where there is none."""
    return NOTHING if pd.isna(low) else f"{number(low)}–{number(high)}"


def _with_intervals(runs: Sequence[ReportRun], scores: pd.DataFrame, protocols: Sequence[str], k: int) -> pd.DataFrame:
    intervals = map_intervals(runs, protocols, k)
    nothing = (float("nan"), float("nan"))
    found = [
        intervals.get(key, nothing)
        for key in zip(scores["protocol"], scores["method"], scores["bits"], strict=True)
    ]  # fmt: skip
    return scores.assign(ci_low=[low for low, _ in found], ci_high=[high for _, high in found])
