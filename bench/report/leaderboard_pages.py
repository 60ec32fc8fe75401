"""The pages of a static leaderboard: one for a dataset, one for a method."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from bench.base.text import slug
from bench.metrics.protocols import measure_of
from bench.report import costs, plots, problems, published_tables, quality
from bench.report.document import Document
from bench.report.escape import code_block, markdown
from bench.report.result_sets import Collection
from bench.report.runs import ReportRun, bits_of, datasets_of, headline_ks, protocols_of, protocols_phrase, rows_by_bits
from bench.report.sections import dataset_sentence
from bench.report.styles import Style
from bench.report.tables import BITS, METHOD, NOTHING, Cell, Column, Row, Table, number, text_column
from bench.store.twins import twins

INDEX = "index.html"
TITLE = "Video hashing leaderboard"
BACK = f"[{TITLE}]({INDEX})"
COSTS = "Costs are as reported, on the machine that is named; nothing here can check them."
PUBLISHED = "Published, not measured here"


class Links(NamedTuple):
    """The pages of datasets, by key, and of methods, by name."""

    datasets: dict[str, str]
    methods: dict[str, str]


def dataset_page(runs: Sequence[ReportRun], collection: Collection, links: Links, styles: dict[str, Style]) -> Document:
    """Quality of all rows with what is known of them, published numbers, costs, and what went wrong. `runs`: on it."""
    document, title = Document(), runs[0].dataset_title
    document.add(f"# {markdown(title)}", BACK, dataset_sentence(runs))
    scores = quality.aggregate(runs)
    groups = quality.equal_protocols(scores, protocols_of(runs))
    if groups:
        document.add_section("Retrieval quality")
        shown = quality.marked(runs, scores[scores["protocol"].isin([group[0] for group in groups])])
        table = quality.overview_table(runs, shown, groups)
        document.add_table(_with_standing(table, runs, shown, collection, links))
        for group in groups:
            name, where = f"{runs[0].dataset}-{slug(group[0])}", f"{title} under {protocols_phrase(group)}"
            here = quality.select(shown, protocol=group[0])
            document.add_plot(plots.map_at_k(f"{name}-map-at-k", where, here, styles))
        _add_published(document, runs, scores)
        if any(run.record.costs for run in runs):
            document.add_section("Cost")
            document.add(COSTS)
            _add_costs(document, runs, "")
    copied = [pair for pair in twins(run.stored for run in runs) if pair.suspicious]
    if copied:
        lines = [f"{pair.second.record.spec.folder}: {pair.sentence}" for pair in copied]
        document.add("## Codes that are copies", "\n".join(f"- {markdown(line)}" for line in lines))
    missing = problems.table(runs)
    if missing is not None:
        document.add_section("Runs without a result")
        document.add_table(replace(missing, name=f"{runs[0].dataset}-{missing.name}"))
    return document


def method_page(
    name: str, runs: Sequence[ReportRun], collection: Collection, links: Links
) -> Document:  # fmt: skip
    """The paper of a method, all its `runs` with what is known of them, published numbers, costs and parameters."""
    document, record, files = Document(), runs[0].record, links.methods[name].removesuffix(".html")
    document.add(f"# {markdown(record.method_title)}", BACK, markdown(record.paper) or "No paper is named.")
    if record.bound:
        document.add(f"It is {'no hash' if record.reference else 'a bound'} and competes with no method.")
    document.add_section("Results")
    document.add_table(_runs_table(f"{files}-runs", runs, collection, links))
    published = published_tables.of_method(name)
    if published is not None:
        document.add_section(PUBLISHED)
        document.add_table(replace(published, name=f"{files}-{published.name}"))
    measured = datasets_of([run for run in runs if run.record.costs])
    if measured:
        document.add_section("Cost")
        document.add(COSTS)
    for here in measured.values():
        document.add(f"### {markdown(here[0].dataset_title)}")
        _add_costs(document, here, f"{files}-")
    document.add_section("Parameters")
    for (dataset, label), run in {(run.dataset_title, run.method): run for run in runs}.items():
        values = sorted(run.record.spec.parameters.items())
        lines = [f"{key} = {json.dumps(value, sort_keys=True, ensure_ascii=False)}" for key, value in values]
        with document.folded(f"{label} on {dataset}, revision {run.record.spec.method_revision}"):
            document.add(code_block("\n".join(lines) or "no parameters"))
    return document


def _with_standing(
    table: Table, runs: Sequence[ReportRun], scores: pd.DataFrame, collection: Collection, links: Links
) -> Table:
    """The table with links, what is known of every row, and the highest first at every code length, bounds last."""
    first = {(run.method, run.bits): run for run in runs}
    k, protocol = headline_ks([int(k) for k in scores["k"].unique()])[0], scores["protocol"].iloc[0]
    here = quality.select(scores, k=k, protocol=protocol)
    score = dict(zip(zip(here["method"], here["bits"], strict=True), here["map"], strict=True))
    rows = []
    for key, row, about in zip(rows_by_bits(runs), table.rows, table.rows_about, strict=True):
        run, known = first[key], collection.of(first[key])
        name = replace(row[0], link=links.methods[run.record.spec.method])
        cells = [name, *row[1:], Cell(known.shown), Cell(known.source)]
        rows.append(((run.bits, run.row_order[0], -score.get(key, -1.0)), cells, about))
    rows.sort(key=lambda row: row[0])
    return replace(
        table,
        header=[*table.header, "evidence", "set"],
        rows=[cells for _, cells, _ in rows],
        about=(*table.about, {}, {}),
        rows_about=tuple(about for _, _, about in rows),
        words=table.words | {"evidence", "set"},
    )


def _add_published(document: Document, runs: Sequence[ReportRun], scores: pd.DataFrame) -> None:
    """Published numbers on the dataset, in a part of their own."""
    ks = sorted(int(k) for k in scores["k"].unique())
    tables = [table for bits in bits_of(runs) if (table := published_tables.beside(runs, bits, ks))]
    if tables:
        document.add_section(PUBLISHED)
        for table in tables:
            with document.folded(table.caption.removesuffix(".")):
                document.add_table(table)


def _add_costs(document: Document, runs: Sequence[ReportRun], prefix: str) -> None:
    """Costs as reported on a machine, or several. `runs`: of one dataset, some with costs."""
    machines = "; ".join(dict.fromkeys(run.machine for run in runs if run.record.costs))
    table = costs.encoding_table(runs)
    document.add(f"As reported on {markdown(machines)}:")
    document.add_table(replace(table, name=f"{prefix}{table.name}"))


def _runs_table(
    name: str, runs: Sequence[ReportRun], collection: Collection, links: Links
) -> Table:  # fmt: skip
    """A row for every run: mAP@k under every protocol, what is known of it, where and when it was done."""
    protocols = protocols_of(runs)
    ks = {k for run in runs for protocol in protocols for k in run.scores(protocol)}
    k = headline_ks(sorted(ks))[0] if ks else 0
    rows: list[Row] = []
    for run in runs:
        known = collection.of(run)
        row: dict[object, object] = {
            "dataset": run.dataset_title, "link": links.datasets[run.dataset], "method": run.method, "bits": run.bits,
            "seed": run.record.spec.seed, "evidence": known.shown if run.done else problems.why(run, problems.SHORT),
            "set": known.source, "machine": run.machine, "done": run.record.started[:10],
        }  # fmt: skip
        scores = {f"score {protocol}": run.scores(protocol).get(k) for protocol in protocols}
        rows.append(row | {key: NOTHING if value is None else number(value) for key, value in scores.items()})
    columns = [
        Column("dataset", lambda row: Cell(row["dataset"], link=row["link"])),
        replace(METHOD, when=lambda rows: len({row["method"] for row in rows}) > 1),
        BITS,
        text_column("seed", "seed"),
        *(text_column(f"{protocol} {measure_of(protocol)}@{k}", f"score {protocol}") for protocol in protocols),
        *(text_column(title, title, words=True) for title in ("evidence", "set", "machine")),
        text_column("done", "done"),
    ]
    caption = f"All runs of {runs[0].record.method_title}."
    return Table.of(columns, rows, name=name, caption=caption)
