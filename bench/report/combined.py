"""One table of all datasets and code lengths: methods in rows, as papers print it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.base.text import slug
from bench.metrics.protocols import measure_of
from bench.report.quality import DECIMALS, notes, protocol_sentence, score_cell, select
from bench.report.runs import ReportRun, headline_ks, methods_of, protocols_phrase
from bench.report.tables import METHOD, Cell, Column, Row, Table, number

CEILING = "ceiling"
CEILING_NOTE = (
    f"{CEILING.capitalize()}: what the best of all rankings would get; below 1 where AP is divided by k and queries "
    "have fewer relevant videos, or have none."
)
RANK_NOTE = "Mean rank: over the columns, 1 for the best; equal scores share their ranks. Bounds have none."


@dataclass(frozen=True)
class Scored:
    """The scores on one dataset, from `quality.marked`, under the first protocol of every group of equal ones."""

    runs: Sequence[ReportRun]
    scores: pd.DataFrame
    groups: Sequence[Sequence[str]]

    def shown_as(self, protocol: str) -> str | None:
        """The protocol whose scores stand for those under `protocol`; None if there are none."""
        return next((group[0] for group in self.groups if protocol in group), None)


def tables(datasets: Sequence[Scored]) -> list[tuple[list[str], Table]]:
    """A table for every protocol, at the first headline k; one for all those that give the same numbers."""
    shared: dict[tuple[str | None, ...], list[str]] = {}
    for protocol in dict.fromkeys(name for data in datasets for group in data.groups for name in group):
        shared.setdefault(tuple(data.shown_as(protocol) for data in datasets), []).append(protocol)
    made = [(protocols, _table(datasets, protocols)) for protocols in shared.values()]
    return [(protocols, table) for protocols, table in made if table is not None]


def _table(datasets: Sequence[Scored], protocols: Sequence[str]) -> Table | None:
    """None where the datasets share no k."""
    parts = {
        data.runs[0].dataset: select(data.scores, protocol=shown).assign(title=data.runs[0].dataset_title)
        for data in datasets
        if (shown := data.shown_as(protocols[0]))
    }
    shared = set.intersection(*({int(k) for k in part["k"]} for part in parts.values()))
    if not shared:
        return None
    k, measure = headline_ks(sorted(shared))[0], measure_of(protocols[0])
    scores = select(pd.concat(parts.values(), ignore_index=True), k=k).assign(protocol=protocols[0])
    runs = [run for data in datasets if data.runs[0].dataset in parts for run in data.runs]
    columns = scores[["dataset", "title", "bits"]].drop_duplicates().sort_values(["dataset", "bits"], kind="stable")
    several = len(columns) > 1 and scores["method"].nunique() > 1
    scores["rank"] = scores[~scores["bound"].astype(bool)].groupby(["dataset", "bits"])["map"].rank(ascending=False)
    ceilings = {data: _ceiling(data, part, runs, k) for data, part in parts.items()}
    rows = _rows(scores, methods_of(runs), len(columns))
    limited = any(number(ceiling) != number(1.0) for ceiling in ceilings.values() if ceiling is not None)
    if limited:
        values = {(data, bits): ceilings[data] for data, _, bits in columns.itertuples(index=False)}
        rows.append({"method": Cell(CEILING, italic=True), "mean rank": float("nan"), **values})
    return Table.of(
        [
            METHOD,
            *(
                Column(f"{bits} bits", _value((data, bits)), group=title, about={"dataset": data, "bits": str(bits)})
                for data, title, bits in columns.itertuples(index=False)
            ),
            Column("mean rank", _rank, when=lambda _: several),
        ],
        rows,
        name=f"all-{slug(protocols[0])}-at-{k}",
        caption=f"{measure}@{k} of all methods, {protocols_phrase(protocols)}.",
        frame=scores.drop(columns="title").assign(ceiling=scores["dataset"].map(ceilings)),
        notes=[
            *(protocol_sentence(runs, protocol) for protocol in protocols),
            *notes(runs, scores),
            RANK_NOTE if several else "",
            CEILING_NOTE if limited else "",
        ],
    )


def _rows(scores: pd.DataFrame, methods: Sequence[str], columns: int) -> list[dict[Any, Any]]:
    """A row for every method: its scores by dataset and code length, and the mean rank of those that have all."""
    rows: list[dict[Any, Any]] = []
    for method in methods:
        found = {(row["dataset"], row["bits"]): row for row in select(scores, method=method).to_dict("records")}
        ranks = [row["rank"] for row in found.values()]
        rank = sum(ranks) / columns if len(ranks) == columns else float("nan")
        rows.append({"method": method, "mean rank": rank, **found})
    return rows


def _value(key: tuple[str, int]) -> Any:
    def cell(row: Row) -> Cell:
        found = row.get(key)
        if isinstance(found, Mapping):
            return score_cell(found)
        return Cell(number(float("nan") if found is None else found, decimals=DECIMALS), italic=found is not None)

    return cell


def _rank(row: Row) -> str:
    return number(row["mean rank"], decimals=1)


def _ceiling(dataset: str, scores: pd.DataFrame, runs: Sequence[ReportRun], k: int) -> float | None:
    """The largest mAP@k of any ranking, which depends on the labels alone; None in records of earlier versions."""
    protocol = scores["protocol"].iloc[0]
    found = [run.record.metrics[protocol] for run in runs if run.dataset == dataset and protocol in run.record.metrics]
    mean = [scores for scores in found if scores.protocol.measure == "mAP"]
    return next((scores.ceiling[k] for scores in mean if scores.ceiling), None)
