"""Tables of retrieval quality: mAP@k with its significance and intervals.

Where there are no labels, recall@k of the exact neighbours stands in place of mAP@k.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, product
from typing import Any

import pandas as pd

from bench.base.text import slug
from bench.metrics.protocols import measure_of
from bench.report import frames, problems
from bench.report.runs import ReportRun, bits_of, headline_ks, protocols_phrase, rows_by_bits, seeds_of
from bench.report.significance import INTERVALS, LEVEL, explanation, indistinguishable, map_intervals
from bench.report.tables import (
    BITS,
    METHOD,
    NOTHING,
    SEEDS,
    Cell,
    Column,
    Row,
    Table,
    best_as_shown,
    note_column,
    number,
)
from bench.store.registered import known_methods

BY = ("dataset", "protocol", "method", "bound", "bits", "k")
DECIMALS = 3
MARKS = ("best", "not_significantly_worse")


def aggregate(runs: Sequence[ReportRun]) -> pd.DataFrame:
    """mAP@k over seeds."""
    return frames.over_seeds(frames.scores(runs), BY, spread=["map"], mean=["map_best", "map_worst"])


def select(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows of `frame` in which every named column holds the given value."""
    chosen = frame
    for column, value in values.items():
        chosen = chosen[chosen[column] == value]
    return chosen


def equal_protocols(frame: pd.DataFrame, protocols: Iterable[str]) -> list[list[str]]:
    """The protocols, in order, in groups under which all values of a frame are the same: one table serves a group."""
    groups: list[tuple[pd.DataFrame, list[str]]] = []
    for protocol in protocols:
        values = select(frame, protocol=protocol).drop(columns="protocol").reset_index(drop=True)
        same = next((members for other, members in groups if other.equals(values)), None)
        if same is None:
            groups.append((values, [protocol]))
        else:
            same.append(protocol)
    return [members for _, members in groups]


def marked(runs: Sequence[ReportRun], scores: pd.DataFrame) -> pd.DataFrame:
    """`scores`, from `aggregate`, of one dataset with what tables mark.

    `best`: no other method has a higher score, as shown, at the same k, code length and protocol; bounds do not
    compete. `not_significantly_worse`: so of the others; None where that cannot be tested.
    """
    competing = scores["map"].where(~scores["bound"].astype(bool))
    groups = [scores[name] for name in ("protocol", "bits", "k")]
    found = scores.assign(best=best_as_shown(competing, groups, DECIMALS))
    near: dict[tuple[str, int, int], set[str] | None] = {}
    for protocol, bits in product(scores["protocol"].unique(), bits_of(runs)):
        here = [run for run in runs if run.bits == bits]
        ks = sorted(int(k) for k in select(scores, protocol=protocol)["k"].unique())
        near |= {(protocol, bits, k): methods for k, methods in indistinguishable(here, protocol, ks).items()}
    names = ["protocol", "bits", "k", "method", "best"]
    found["not_significantly_worse"] = pd.Series(
        [
            None if (methods := near[protocol, bits, k]) is None else method in methods and not best
            for protocol, bits, k, method, best in found[names].itertuples(index=False)
        ],
        index=found.index,
        dtype=object,
    )
    return found


def overview_table(runs: Sequence[ReportRun], scores: pd.DataFrame, groups: Sequence[Sequence[str]]) -> Table:
    """Methods and code lengths in rows, protocols in columns, with intervals, at the first headline k.

    Args:
        runs: of one dataset.
        scores: from `marked`, under the first protocol of every group.
        groups: from `equal_protocols`.
    """
    k = headline_ks([int(k) for k in scores["k"].unique()])[0]
    protocols = [group[0] for group in groups]
    measure = measure_of(protocols[0])  # a dataset has labels, or it has none
    intervals = map_intervals(runs, protocols, k)
    here = select(scores, k=k)
    keys = zip(here["protocol"], here["method"], here["bits"], strict=True)
    ends = [intervals.get(key, (math.nan, math.nan)) for key in keys]
    frame = here.assign(ci_low=[low for low, _ in ends], ci_high=[high for _, high in ends])
    columns = [METHOD, BITS]
    for protocol in protocols:
        prefix = f"{protocol} " if len(protocols) > 1 else ""
        about = {"protocol": "\n".join(next(group for group in groups if protocol in group))}
        columns += [
            Column(f"{prefix}{measure}@{k}", _of(protocol, score_cell), about=about),
            Column(f"{prefix}{LEVEL:.0%} CI", _of(protocol, _interval), when=lambda _: bool(intervals), about=about),
        ]
    rows = _rows(runs, frame, "protocol")
    return Table.of(
        [*columns, SEEDS, note_column(problems.notes(runs))],
        rows,
        name=f"{runs[0].dataset}-protocols",
        caption=f"{measure}@{k} on {runs[0].dataset_title}, {protocols_phrase(list(chain(*groups)))}.",
        frame=frame,
        notes=[
            *(protocol_sentence(runs, protocol) for protocol in chain(*groups)),
            *notes(runs, scores),
            INTERVALS if intervals else "",
        ],
    )


def table(runs: Sequence[ReportRun], scores: pd.DataFrame, group: Sequence[str], bits: int) -> Table:
    """mAP@k of all methods at one code length.

    Args:
        runs: of one dataset.
        scores: from `marked`, under the first protocol of the group.
        group: from `equal_protocols`.
    """
    here = [run for run in runs if run.bits == bits]
    protocol = group[0]
    chosen = select(scores, bits=bits)
    ks = sorted(int(k) for k in scores["k"].unique())
    tie_ks = [k for k in sorted({headline_ks(ks)[0], max(ks)}) if _ties_show(select(chosen, k=k))]
    why = problems.notes(here)
    evaluated = set(chosen["method"])
    for method, _ in rows_by_bits(here):
        if method not in evaluated:
            why.setdefault((method, bits), "not evaluated under this protocol")
    rows = _rows(here, chosen, "k", ks)
    titles = {k: f"{measure_of(protocol)}@{k}" for k in ks}
    columns = [METHOD, *(Column(title, _of(k, score_cell), about={"metric": title}) for k, title in titles.items())]
    columns += [Column(f"ties @{k}", _of(k, _ties)) for k in tie_ks]
    return Table.of(
        [*columns, SEEDS, note_column(why)],
        rows,
        name=f"{here[0].dataset}-{slug(protocol)}-{bits}-bits",
        caption=f"{measure_of(protocol)}@k on {here[0].dataset_title} at {bits} bits, {protocols_phrase(group)}.",
        frame=chosen,
        notes=[
            *(protocol_sentence(here, name) for name in group),
            *notes(here, chosen),
            "Ties: mAP@k with items at equal distance in the worst and in the best order." if tie_ks else "",
        ],
    )


def protocol_sentence(runs: Sequence[ReportRun], protocol: str) -> str:
    """The protocol's definition, as stored with the results."""
    scores = next((run.record.metrics[protocol] for run in runs if protocol in run.record.metrics), None)
    return f"Protocol {protocol}: {scores.protocol.description if scores else ''}"


def seeds_sentence(runs: Sequence[ReportRun]) -> str:
    """The meaning of `±`."""
    return f"Mean ± standard deviation over the seeds {', '.join(map(str, seeds_of(runs)))}."


def _rows(runs: Sequence[ReportRun], frame: pd.DataFrame, across: str, known: Sequence[int] = ()) -> list[Row]:
    """A row for each method and code length: its values by what stands `across`, without values where it has none."""
    blank = dict.fromkeys(frame.columns, math.nan) | dict.fromkeys(MARKS, False)
    values = dict.fromkeys([*frame[across].unique(), *known], blank)
    rows: dict[tuple[str, int], dict[Any, Any]] = {
        (method, bits): {"method": method, "bits": bits, "seeds": math.nan, **values}
        for method, bits in rows_by_bits(runs)
    }
    for found in frame.to_dict("records"):
        row = rows[found["method"], found["bits"]]
        row |= {found[across]: found, "seeds": max(found["seeds"], row["seeds"])}
    return list(rows.values())


def _of(key: object, value: Callable[[Row], Cell | str]) -> Callable[[Row], Cell | str]:
    """A cell of the values under one protocol or at one k."""
    return lambda row: value(row[key])


def score_cell(row: Row) -> Cell:
    mark = "†" if row["not_significantly_worse"] else ""
    return Cell(number(row["map"], row["map_std"], DECIMALS), bold=row["best"], mark=mark)


def _interval(row: Row) -> str:
    """`0.401–0.455`; a dash where there is none."""
    return NOTHING if math.isnan(row["ci_low"]) else f"{number(row['ci_low'])}–{number(row['ci_high'])}"


def _ties(row: Row) -> str:
    return NOTHING if math.isnan(row["map"]) else f"{number(row['map_worst'])}–{number(row['map_best'])}"


def _ties_show(scores: pd.DataFrame) -> bool:
    """Whether the worst and the best order of ties lie further apart than rounding does anywhere."""
    return bool((scores["map_best"] - scores["map_worst"] > 0.5 * 10**-DECIMALS).any())


def notes(runs: Sequence[ReportRun], scores: pd.DataFrame) -> list[str]:
    """The meaning of what every table of mAP@k shows; `scores` from `marked`."""
    return [
        seeds_sentence(runs) if (scores["seeds"] > 1).any() else "",
        f"Bold: best{f' ({others} do not compete)' if (others := _not_competing(runs)) else ''}.",
        *_marks(runs, scores),
        *dict.fromkeys(_without_relevant(runs, protocol) for protocol in scores["protocol"].unique()),
        *dict.fromkeys(known.note for run in runs if (known := known_methods().get(run.record.spec.method))),
    ]


def _marks(runs: Sequence[ReportRun], scores: pd.DataFrame) -> list[str]:
    """The meaning of †; where it is not the same in all columns, with the code lengths and datasets."""
    tested = scores.dropna(subset="not_significantly_worse")[["dataset", "protocol", "bits"]].drop_duplicates()
    titles = {run.dataset: run.dataset_title for run in runs}
    places = dict.fromkeys(zip(tested["dataset"], tested["bits"], strict=True))
    said: dict[str, dict[tuple[str, int], None]] = {}
    for dataset, protocol, bits in tested.itertuples(index=False):
        here = [run for run in runs if (run.dataset, run.bits) == (dataset, bits)]
        for sentence in explanation(here, protocol):
            said.setdefault(sentence, {})[dataset, bits] = None
    found = []
    for sentence, where in said.items():
        named = {titles[dataset]: [str(bits) for other, bits in where if other == dataset] for dataset, _ in where}
        lengths = ", ".join(
            f"{' and '.join(bits)} bits{f' on {title}' if len(titles) > 1 else ''}" for title, bits in named.items()
        )
        if len(where) == len(places):
            found.append(sentence)
        elif sentence.startswith("†:"):
            found.append(sentence.replace("†:", f"† at {lengths}:", 1))
        else:
            found.append(f"At {lengths}: {sentence}")
    return found


def _not_competing(runs: Sequence[ReportRun]) -> str:
    kinds = {"references" if run.record.reference else "bounds" for run in runs if run.record.bound}
    return " and ".join(sorted(kinds))


def _without_relevant(runs: Sequence[ReportRun], protocol: str) -> str:
    counts = {
        (scores.queries_without_relevant, scores.queries)
        for run in runs
        if run.done and (scores := run.record.metrics.get(protocol))
    }
    worst, queries = max(counts, default=(0, 0))
    if not worst:
        return ""
    return f"{worst:,} of {queries:,} queries have nothing relevant in the gallery and count as 0."
