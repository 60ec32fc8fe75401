"""Tables of published numbers, which are never averaged, ranked or marked."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.base.errors import InputError
from bench.base.text import slug, text_table
from bench.report.published import (
    PROTOCOL,
    PublishedScore,
    dataset_title,
    preference,
    published,
    published_costs,
    published_methods,
    test_set_sentence,
)
from bench.report.runs import ReportRun
from bench.report.tables import BITS, METHOD, Cell, Column, Row, Table, number, to_text

NEAREST_PROTOCOL = "paper"
"""The protocol whose tables they accompany. The papers' code orders ties otherwise, and some of its codes differ."""
PROTOCOL_LABEL = "papers' code"


def beside(runs: Sequence[ReportRun], bits: int, ks: Sequence[int]) -> Table | None:
    """Published mAP@k of the dataset of `runs` at one code length; None where there is none, or for stand-in data.

    Only cut-offs in `ks` are shown, so that columns are those of the measured table beside.
    """
    data = runs[0].record.dataset
    title = dataset_title(data.name)
    if title is None or data.stand_in:
        return None
    scores = [score for score in published(dataset=title, bits=bits) if score.k in ks]
    if not scores:
        return None
    numbers = _numbered(scores)
    columns = [
        Column("published", lambda row: Cell(row["method"], italic=True)),
        *(_score_column(k, italic=True) for k in sorted({score.k for score in scores})),
        Column("protocol", lambda row: Cell(PROTOCOL_LABEL, italic=True), words=True),
        Column("source", lambda row: Cell(f"{row['kind']} [{numbers[row['source']]}]", italic=True), words=True),
    ]
    return Table.of(
        columns,
        _rows(scores),
        name=f"{runs[0].dataset}-published-{bits}-bits",
        caption=f"Published mAP@k on {title} at {bits} bits; not measured here.",
        frame=pd.DataFrame([vars(score) for score in scores]).assign(protocol=PROTOCOL_LABEL),
        notes=_notes(scores, numbers),
    )


def of_method(name: str) -> Table | None:
    """Published mAP@k of a method on all datasets; None where there is none."""
    if slug(name) not in published_methods():
        return None
    scores = published(method=name)
    numbers = _numbered(scores)
    columns = [
        Column("published on", lambda row: Cell(row["dataset"], italic=True)),
        Column("bits", lambda row: Cell(str(row["bits"]), italic=True)),
        *(_score_column(k, italic=True) for k in sorted({score.k for score in scores})),
        Column("source", lambda row: Cell(f"{row['kind']} [{numbers[row['source']]}]", italic=True), words=True),
    ]
    return Table.of(
        columns,
        _rows(scores),
        name="published",
        caption=f"Published mAP@k of {scores[0].method}; not measured here.",
        frame=pd.DataFrame([vars(score) for score in scores]).assign(protocol=PROTOCOL_LABEL),
        notes=_notes(scores, numbers),
    )


def _notes(scores: Sequence[PublishedScore], numbers: dict[str, int]) -> list[str]:
    """What published numbers are, their sources, and which of them saw the test set."""
    return [
        f"Published, not measured here: a row for every source, as it stands there. Protocol {PROTOCOL_LABEL}: "
        f"{PROTOCOL}",
        "; ".join(f"[{index}] {source}" for source, index in numbers.items()) + ".",
        test_set_sentence(scores),
    ]


def published_table(methods: Sequence[str], datasets: Sequence[str], bits: Sequence[int]) -> str:
    """A text table of published mAP@k, one row for every source; nothing named means everything.

    Costs, which belong to no dataset or code length, follow where neither is asked for.

    Raises:
        InputError: there are no numbers of a method, on a dataset, or of the methods, datasets and bits together.
    """
    asked_methods: Sequence[str | None] = methods or [None]
    asked_datasets: Sequence[str | None] = datasets or [None]
    found = [
        score
        for method in asked_methods
        for dataset in asked_datasets
        for score in published(method=method, dataset=dataset)
        if not bits or score.bits in bits
    ]
    if not found:
        lengths = ", ".join(map(str, sorted({score.bits for score in published()})))
        raise InputError(f"no published numbers of these methods, datasets and bits together; bits known: {lengths}")
    # Names may be given twice, in several spellings.
    scores = sorted(dict.fromkeys(found), key=preference)
    numbers = _numbered(scores)
    columns = [
        Column("dataset", lambda row: row["dataset"]),
        BITS,
        METHOD,
        *(_score_column(k) for k in sorted({score.k for score in scores})),
        Column("source", lambda row: f"[{numbers[row['source']]}]"),
    ]
    parts = [
        to_text(Table.of(columns, _rows(scores))),
        "\n".join(f"[{number}] {source}" for source, number in numbers.items()),
        " ".join(filter(None, [f"Published, not measured here. {PROTOCOL}", test_set_sentence(scores)])),
    ]
    if not datasets and not bits:
        parts += _cost_table(methods)
    return "\n\n".join(parts)


def _numbered(scores: Sequence[PublishedScore]) -> dict[str, int]:
    """The sources, counted from 1."""
    return {source: index for index, source in enumerate(dict.fromkeys(score.source for score in scores), start=1)}


def _rows(scores: Sequence[PublishedScore]) -> list[Row]:
    """A row for every cell of a source but k, whose values stand under their k."""
    rows: dict[tuple[str, int, str, str], dict[Any, Any]] = {}
    for score in scores:
        key = score.dataset, score.bits, score.method, score.source
        row = rows.setdefault(key, {**vars(score), "kind": score.source_kind.replace("_", " ")})
        row[score.k] = score.map
    return list(rows.values())


def _score_column(k: int, italic: bool = False) -> Column:
    return Column(f"mAP@{k}", lambda row: Cell(number(row.get(k, float("nan"))), italic=italic))


def _cost_table(methods: Sequence[str]) -> list[str]:
    wanted = {slug(method) for method in methods} or published_methods()
    # The rows name variants: "AutoSSVH small encoder (25x4096)".
    rows = [
        (row.method, row.parameters, row.flops, row.encode_ms, row.platform, row.source)
        for row in published_costs()
        if slug(row.method.split()[0]) in wanted
    ]
    header = ("method", "parameters", "FLOPs", "ms/video", "platform", "source")
    widths = [30, 20, 10, 22, 20, 60]
    return [text_table(rows, header, maxcolwidths=widths)] if rows else []
