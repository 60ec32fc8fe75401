"""The report: an overview, a section for every dataset, then problems, explanations and the settings of the runs."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.report import combined, problems, run_table
from bench.report.combined import Scored
from bench.report.document import Block, Document, Folded
from bench.report.escape import code_block, markdown
from bench.report.over_datasets import add_summary
from bench.report.runs import (
    BOUND,
    REFERENCE,
    ReportRun,
    bits_of,
    bounds_of,
    datasets_of,
    methods_of,
    seeds_of,
    stand_in_phrase,
)
from bench.report.sections import add_dataset
from bench.report.styles import assign
from bench.report.tables import Column, Table

MARKER = "<!-- rendered by vhbench from stored results; `bench report` writes it anew -->"
MOST_DOUBTS = 4
"""Doubts that are shown unfolded."""
HOW_TO_READ = """\
- **mAP@k**: every query video ranks the gallery by the Hamming distance between codes; mAP@k is the average precision
  of the first *k* results, averaged over all queries. From 0 to 1, higher is better.
- **recall@k** replaces it where a dataset has no labels: the share of a query's exact neighbours, by the cosine of the
  mean features, among its first *k* results. It tells how well codes keep the features, not what they mean.
- **Protocol**: mAP@k of two sources compare only if both divide AP by the same number, treat a query's own copy alike,
  and treat ties alike. `paper` follows the papers' released code; `strict` leaves the query itself out and divides AP
  by what can be found.
- **Confidence intervals** tell how far mAP@k would move with other queries. They cover no other seeds.
- **Ties**: short codes put many videos at the same distance. Columns “ties” show mAP@k with the worst and with the best
  order among them: a smaller difference between two methods may come from the order of ties alone.
- **Bounds** (grey, dashed) tell what is possible and do not compete: they are never best, in no test and on no Pareto
  front. The oracle was shown the labels; random codes learned nothing.
- **References that are no hash** (grey as well) are what a search would use in place of codes; they do not compete.
  float32 cosine is exact search by the mean features, of 4 bytes a dimension at every code length. PQ, OPQ and RaBitQ
  keep as many bytes a video as the codes beside them and rank by estimates of distances. They have no Hamming distance,
  so nothing within a radius.
- **Published** numbers are in italics in tables of their own, each with its source. They were not measured here and
  are not ranked or plotted.
- **Precision–recall curves** have a point for every Hamming radius, without interpolation. Where no video lies within a
  radius, precision counts as 0, so curves of long codes start low.
- **Cost**: multiply-adds and parameters do not depend on the machine; times do, and compare only on the same one.
  Across machines compare the shares of the machine's measured rates. `docs/costs.md` says what each figure includes.
- **Several seeds**: tables and plots show the mean ± standard deviation. Runs with different parameters are never
  averaged: they have rows of their own, labelled with what differs."""


def compose(runs: Sequence[ReportRun]) -> Document:
    """The whole report. Its plots must be drawn within `figures.settings()`."""
    document = Document()
    datasets = datasets_of(runs)
    styles = assign({run.method: run.record.spec.method for run in runs}, bounds_of(runs))
    document.add(MARKER, _title(datasets), _overview(runs, datasets))
    opening, found, scored = len(document.blocks), list[str](), list[Scored]()
    for group in datasets.values():
        data = group[0].record.dataset
        document.banner = stand_in_phrase(data) if data.stand_in else ""  # pictures travel without their captions
        sentences, scores = add_dataset(document, group, styles)
        found += sentences
        scored += [scores] if scores else []
    add_summary(document, runs, styles)
    document.blocks[opening:opening] = [*_found(runs, found, datasets), *_combined(scored)]
    missing = problems.table(runs)
    if missing is not None:
        document.add_section("Runs without a result")
        document.add_table(missing)
    equal = problems.equal_codes(runs)
    if equal:
        document.add("## Equal codes", _list(equal))
    document.add("## How to read this")
    with document.folded("Measures, protocols, intervals, ties, bounds, published numbers, costs and seeds"):
        document.add(HOW_TO_READ)
    document.add("## Parameters")
    for group in datasets.values():
        with document.folded(f"Parameters on {group[0].dataset_title}"):
            document.add(*_parameters(group))
    document.add("## Runs")
    with document.folded("Every run, with its seed and its folder in the results"):
        document.add_table(run_table.table(runs))
    document.add("## Environment")
    with document.folded("Software and hardware of the runs"):
        document.add_table(_environment_table(runs))
    document.add(
        "## Render this again",
        "From the stored results, without training (put your own folders in place of these defaults):",
        code_block("bench report --results results/runs --report reports/latest"),
    )
    return document


def _title(datasets: Mapping[str, Sequence[ReportRun]]) -> str:
    """The report's heading, which says where data were generated."""
    data = [group[0].record.dataset for group in datasets.values()]
    phrases = dict.fromkeys(stand_in_phrase(summary) for summary in data if summary.stand_in)
    return f"# Video hashing benchmark{''.join(f' – {markdown(phrase)}' for phrase in phrases)}"


def _overview(runs: Sequence[ReportRun], datasets: Mapping[str, Sequence[ReportRun]]) -> str:
    done = sum(run.done for run in runs)
    others = bounds_of(runs)
    references = {label for label in others if label.endswith(REFERENCE)}
    kinds = (
        ("method", [method for method in methods_of(runs) if method not in others]),
        ("bound", sorted(label.removesuffix(BOUND) for label in others - references)),
        ("reference", sorted(label.removesuffix(REFERENCE) for label in references)),
    )
    seeds = seeds_of(runs)
    compared = _joined([_count(len(labels), kind) for kind, labels in kinds if labels or kind == "method"])
    missing = f"{done} finished, {len(runs) - done} [without a result](#runs-without-a-result)"
    sentence = (
        f"{compared} on {_count(len(datasets), 'dataset')} at {_listed(bits_of(runs))} bits, "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {_listed(seeds)}: {_count(len(runs), 'run')}, "
        f"{'all finished' if done == len(runs) else missing}."
    )
    names = " ".join(f"{kind.capitalize()}s: {', '.join(map(markdown, labels))}." for kind, labels in kinds if labels)
    return f"{sentence} {names} [How to read this](#how-to-read-this)."


def _found(
    runs: Sequence[ReportRun], findings: Sequence[str], datasets: Mapping[str, Sequence[ReportRun]]
) -> list[Block]:
    """The findings, and what to be careful with."""
    once = "One seed: other seeds may order the methods otherwise."
    findings = [*findings, once] if findings and len(seeds_of(runs)) == 1 else findings
    doubts = [doubt for group in datasets.values() for doubt in problems.cautions(group)]
    blocks: list[Block] = ["**Findings**", _list(findings)] if findings else []
    if len(doubts) > MOST_DOUBTS:  # the tables should not begin pages below
        return [*blocks, Folded(f"{len(doubts)} results to be careful with", [_list(doubts)])]
    return [*blocks, "**Be careful with**", _list(doubts)] if doubts else blocks


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {markdown(line)}" for line in lines)


def _combined(scored: Sequence[Scored]) -> list[Block]:
    """The tables of all datasets."""
    part = Document()
    for protocols, table in combined.tables(scored):
        with part.about(protocol="\n".join(protocols)):
            part.add(markdown(table.caption))
            part.add_table(table)
    return ["## All methods", *part.blocks] if part.blocks else []


def _parameters(runs: Sequence[ReportRun]) -> list[str]:
    """The parameters of every row. `runs` are those of one dataset."""
    parts = []
    for method in methods_of(runs):
        record = next(run.record for run in runs if run.method == method)
        values = sorted(record.spec.parameters.items())
        lines = [f"{name} = {json.dumps(value, sort_keys=True, ensure_ascii=False)}" for name, value in values]
        parts.append(
            f"**{markdown(method)}**: `{record.spec.method}`, revision {record.spec.method_revision}. "
            f"{markdown(record.paper)}\n\n{code_block(chr(10).join(lines) or 'no parameters')}"
        )
    return parts


def _environment_table(runs: Sequence[ReportRun]) -> Table:
    """Software and hardware of the runs; where they differ, every value with its number of runs."""
    values: dict[str, Counter[str]] = {}
    for run in runs:
        for name, value in _flat(run.record.environment):
            values.setdefault(name, Counter())[value] += 1
    rows = [
        {"property": name, "value": value, "runs": number}
        for name, counts in sorted(values.items())
        for value, number in sorted(counts.items())
    ]
    columns = [
        Column("property", lambda row: row["property"]),
        Column("value", lambda row: row["value"], words=True),
        Column("runs", lambda row: str(row["runs"]), when=lambda rows: any(row["runs"] < len(runs) for row in rows)),
    ]
    return Table.of(columns, rows, name="environment", caption="Software and hardware of the runs.")


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs = []
    for name, entry in value.items():
        if isinstance(entry, Mapping):
            pairs += _flat(entry, f"{prefix}{name}.")
        else:
            pairs.append((f"{prefix}{name}", str(entry)))
    return pairs


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(values: Sequence[int]) -> str:
    """`16, 32 and 64`."""
    return _joined([str(value) for value in values])


def _joined(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
