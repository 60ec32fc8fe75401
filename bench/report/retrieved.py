"""The first results of a few queries, method beside method."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.report.escape import shorten
from bench.report.runs import ReportRun, bits_of, protocols_of
from bench.report.significance import average_precision
from bench.report.tables import METHOD, Column, Row, Table
from bench.store.codes_file import Stored, read_codes
from bench.store.stored_run import CODES

SHOWN = 10
"""Results of each query."""
QUERIES = {"easy": 0.9, "middling": 0.5, "hard": 0.1}
"""Which share of all queries is harder, by the mean AP over the methods."""
RESULT = ["rank", "video", "video_classes", "distance", "relevant"]
FOUND, OTHER = "●", "○"
NAMED, LONGEST_NAME = 3, 40
"""Classes of a query in a heading, and characters of each."""


def table(runs: Sequence[ReportRun]) -> Table | None:
    """At the longest codes, which of the first results share a label with the query. `runs`: one dataset.

    None where there are no labels, or no AP of every query. Of several seeds the first.
    """
    most = bits_of(runs)[-1]
    first = {run.method: run for run in reversed(runs) if run.bits == most and run.done}
    known = next(filter(None, (run.class_names for run in first.values())), ())
    names = {str(number): name for number, name in enumerate(known)}
    chosen = _queries([run for run in first.values() if not run.record.bound])
    rows: list[dict[Any, Any]] = []
    for method, run in sorted(first.items(), key=lambda item: item[1].row_order):
        codes = read_codes(run.stored.verified(CODES)) if chosen and CODES in run.record.checksums else None
        if codes is None or codes.query_labels is None:
            continue
        rows.append({"method": method, **{query: _results(codes, query) for query in chosen.values()}})
        classes = {query: _classes(codes.query_labels[query]) for query in chosen.values()}
    if not rows:
        return None
    columns = [
        Column(f"query {query}, {kind} ({_shortly(_named(classes[query], names))})", _cell(query), words=True)
        for kind, query in chosen.items()
    ]
    frame = pd.concat(
        [
            row[query].assign(method=row["method"], query=query, query_classes=classes[query])
            for row in rows
            for query in chosen.values()
        ],
        ignore_index=True,
    )
    for what in ("query", "video"):
        frame[f"{what}_class_names"] = ["; ".join(_named(found, names)) for found in frame[f"{what}_classes"]]
    return Table.of(
        [METHOD, *columns],
        rows,
        name=f"{runs[0].dataset}-retrieved",
        caption=f"First results of {len(chosen)} queries on {runs[0].dataset_title}, {most} bits.",
        frame=frame[["method", "query", "query_classes", "query_class_names", *RESULT, "video_class_names"]],
        notes=[
            f"{FOUND}: shares a label with the query; {OTHER}: does not. In the order of the gallery among equal "
            "distances. "
            f"{'Queries and videos' if names else 'Queries, videos and classes'} have numbers from 0, as in the stored "
            "codes; the CSV has those of every result.",
            "Queries at the 10th, 50th and 90th percentile of AP, averaged over the methods.",
        ],
    )


def _queries(runs: Sequence[ReportRun]) -> dict[str, int]:
    """Numbers of the queries that are shown, by their kind."""
    protocol = next(iter(protocols_of(runs)), None)
    if protocol is None:
        return {}
    k = max(runs[0].scores(protocol), default=0)
    found = [average_precision(run, [(protocol, k)]).get((protocol, k)) for run in runs]
    known = [values for values in found if values is not None]
    if not known or len({len(values) for values in known}) > 1:
        return {}
    order = np.argsort(np.mean(known, axis=0), kind="stable")
    chosen = {int(order[int(share * (len(order) - 1))]): kind for kind, share in QUERIES.items()}
    return {kind: query for query, kind in chosen.items()}


def _results(codes: Stored, query: int) -> pd.DataFrame:
    """The first results: rank, number in the gallery, its classes, distance, and whether it shares one of the query."""
    assert codes.query_labels is not None
    labels: NDArray[np.uint8] = codes.query_labels if codes.gallery_labels is None else codes.gallery_labels
    distances = codes.distances(query)
    order = np.argsort(distances, kind="stable")
    order = order[order != query][:SHOWN] if codes.self_search else order[:SHOWN]
    relevant = (labels[order] & codes.query_labels[query]).any(axis=1)
    ranks, classes = np.arange(1, len(order) + 1), [_classes(labels[video]) for video in order]
    return pd.DataFrame(dict(zip(RESULT, (ranks, order, classes, distances[order], relevant), strict=True)))


def _classes(labels: NDArray[np.uint8]) -> str:
    """The numbers of a video's classes."""
    return " ".join(map(str, np.flatnonzero(labels)))


def _named(classes: str, names: Mapping[str, str]) -> list[str]:
    """The names of a video's classes, given by their numbers; a class without a name keeps its number."""
    return [names.get(number) or number for number in classes.split()]


def _shortly(classes: Sequence[str]) -> str:
    """A query's classes in its heading."""
    said = [shorten(name, LONGEST_NAME) for name in classes[:NAMED]]
    said += [f"{len(classes) - NAMED} more"] if len(classes) > NAMED else []
    return f"class {' and '.join(said)}" if said else "no class"


def _cell(query: int) -> Callable[[Row], str]:
    return lambda row: "".join(FOUND if relevant else OTHER for relevant in row[query]["relevant"])
