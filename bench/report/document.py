"""`report.md`: what was compared, how to read it, then quality, cost and training for every dataset."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bench.report import costs, frames, problems, quality
from bench.report.escape import code_block, html, markdown
from bench.report.plots import Plot, map_at_k, map_by_bits, quality_by_time, training_loss
from bench.report.render import Cell, Table, to_markdown
from bench.report.runs import (
    ReportRun,
    bits_of,
    bounds_of,
    datasets_of,
    methods_of,
    protocols_of,
    seeds_of,
)
from bench.report.style import Style, assign
from bench.text import slug

MARKER = "<!-- rendered by vhbench from stored results; `bench report` writes it anew -->"

HOW_TO_READ = """\
- **mAP@k**: every query video ranks the gallery by the Hamming distance between codes; mAP@k is the average precision
  of the first *k* results, averaged over all queries. From 0 to 1, higher is better.
- **Protocol**: mAP@k of two sources compare only if both divide AP by the same number, treat a query's own copy alike,
  and treat ties alike. Every table says what it does. `paper` follows the papers' released code; `strict` leaves the
  query itself out and divides AP by what can be found.
- **Ties**: short codes put many videos at the same distance. Columns “ties” show mAP@k with the worst and with the best
  order among them: a smaller difference between two methods may come from the order of ties alone.
- **Bounds** (grey, dashed) were shown the labels. They tell what is possible and compete with nobody.
- **Cost**: multiply-adds and parameters do not depend on the machine; times do, and compare only on the same one.
- **Several seeds**: tables and plots show the mean ± standard deviation. Runs with different parameters are never
  averaged: they have rows of their own, labelled with what differs."""


@dataclass
class Document:
    """Markdown as it grows, with the tables and plots that it links to."""

    parts: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n\n".join(self.parts) + "\n"

    def add(self, *parts: str) -> None:
        self.parts += parts

    def add_table(self, table: Table) -> None:
        self.tables.append(table)
        self.add(to_markdown(table), f"[CSV](tables/{table.name}.csv) · [LaTeX](tables/{table.name}.tex)")

    def add_plot(self, plot: Plot) -> None:
        self.plots.append(plot)
        path = f"figures/{plot.name}"
        caption = markdown(plot.caption)
        self.add(f"![{caption}]({path}.svg)", f"*{caption}* [PNG]({path}.png) · [SVG]({path}.svg) · [CSV]({path}.csv)")


def compose(runs: Sequence[ReportRun]) -> Document:
    """The whole report. Plots must be drawn within `plots.settings()`."""
    document = Document()
    datasets = datasets_of(runs)
    styles = assign(methods_of(runs), bounds_of(runs))
    document.add(MARKER, "# Video hashing benchmark", *_overview(runs, datasets))
    document.add("## How to read this", HOW_TO_READ)
    for group in datasets.values():
        _dataset(document, group, styles)
    missing = problems.table(runs)
    if missing is not None:
        document.add("## Runs without a result")
        document.add_table(missing)
    document.add("## Parameters", *_parameters(datasets))
    document.add("## Environment", "<details><summary>Software and hardware of the runs</summary>")
    document.add_table(_environment_table(runs))
    document.add("</details>")
    document.add(
        "## Render this again",
        "From the stored results, without training (put your own folders in place of these defaults):",
        code_block("bench report --results results/runs --report reports/latest"),
    )
    return document


def _overview(runs: Sequence[ReportRun], datasets: Mapping[str, Sequence[ReportRun]]) -> list[str]:
    done = sum(run.done for run in runs)
    bounds = bounds_of(runs)
    competing = [method for method in methods_of(runs) if method not in bounds]
    seeds = seeds_of(runs)
    compared = _count(len(competing), "method")
    if bounds:
        compared += f" and {_count(len(bounds), 'bound')}"
    missing = f"{done} finished, {len(runs) - done} [without a result](#runs-without-a-result)"
    sentence = (
        f"{compared} on {_count(len(datasets), 'dataset')} at {_listed(bits_of(runs))} bits, "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {_listed(seeds)}: {_count(len(runs), 'run')}, "
        f"{'all finished' if done == len(runs) else missing}."
    )
    names = f"Methods: {', '.join(map(markdown, competing))}." if competing else ""
    if bounds:
        names += f" Bounds: {', '.join(map(markdown, sorted(bounds)))}."
    return [sentence, names.strip(), *(_dataset_sentence(group) for group in datasets.values())]


def _dataset_sentence(runs: Sequence[ReportRun]) -> str:
    data = runs[0].record.dataset
    if data.self_search:
        search = f"{data.query_videos:,} queries, searched among themselves"
    else:
        search = f"{data.query_videos:,} queries against a gallery of {data.gallery_videos:,}"
    return (
        f"**{markdown(runs[0].dataset_title)}** (`{runs[0].dataset}`): {data.train_videos:,} training videos, "
        f"{search}; {data.frames} frames × {data.dimensions:,} dimensions per video; {data.classes:,} classes. "
        f"Data fingerprint `{runs[0].record.spec.dataset_fingerprint[:12]}`."
    )


def _dataset(document: Document, runs: Sequence[ReportRun], styles: dict[str, Style]) -> None:
    document.add(f"## {markdown(runs[0].dataset_title)}")
    scores = quality.aggregate(runs)
    protocols = protocols_of(runs)
    for protocol in protocols:
        _quality(document, runs, quality.select(scores, protocol=protocol), protocol, styles)
    document.add("### Cost")
    encoding = costs.encoding_table(runs)
    machines = costs.machines(encoding.frame)
    if len(machines) > 1:
        document.add(
            f"**Times in this table come from {len(machines)} machines and must not be ranked together**: compare rows "
            "of the same machine only."
        )
    document.add_table(encoding)
    if protocols:
        _quality_by_time(document, runs, quality.select(scores, protocol=protocols[0]), encoding.frame, styles)
    document.add("### Training")
    document.add_table(costs.training_table(runs))
    losses = frames.losses(runs)
    if not losses.empty:
        by = ("dataset", "method", "bound", "bits", "epoch")
        mean = frames.over_seeds(losses, by, spread=["loss"])
        document.add_plot(training_loss(f"{runs[0].dataset}-training-loss", runs[0].dataset_title, mean, styles))


def _quality(
    document: Document, runs: Sequence[ReportRun], scores: pd.DataFrame, protocol: str, styles: dict[str, Style]
) -> None:
    name = f"{runs[0].dataset}-{slug(protocol)}"
    title = f"{runs[0].dataset_title} under protocol {protocol}"
    document.add(f"### Retrieval quality, protocol “{markdown(protocol)}”")
    document.add_plot(map_at_k(f"{name}-map-at-k", title, scores, styles))
    for bits in bits_of(runs):
        document.add(f"#### {bits} bits")
        document.add_table(quality.table(runs, scores, protocol, bits))
    if scores["bits"].nunique() > 1:
        document.add("#### By code length")
        document.add_plot(map_by_bits(f"{name}-map-by-bits", title, scores, styles))


def _quality_by_time(
    document: Document,
    runs: Sequence[ReportRun],
    scores: pd.DataFrame,
    measured: pd.DataFrame,
    styles: dict[str, Style],
) -> None:
    """One plot for each machine, at the first headline k."""
    title = f"{runs[0].dataset_title} under protocol {scores['protocol'].iloc[0]}"
    k = quality.headline_ks([int(k) for k in scores["k"].unique()])[0]
    machines = costs.machines(measured)
    for index, machine in enumerate(machines, start=1):
        here = quality.select(measured, machine=machine).drop(columns="seeds")
        joined = quality.select(scores, k=k).merge(here, on=["dataset", "method", "bound", "bits"])
        name = f"{runs[0].dataset}-map-by-time{f'-{index}' if len(machines) > 1 else ''}"
        if not joined.empty:
            document.add_plot(quality_by_time(name, title, joined, styles))


def _parameters(datasets: Mapping[str, Sequence[ReportRun]]) -> list[str]:
    """The parameters of every row, collapsed."""
    parts = []
    for group in datasets.values():
        for method in methods_of(group):
            record = next(run.record for run in group if run.method == method)
            values = sorted(record.spec.parameters.items())
            lines = [f"{name} = {json.dumps(value, sort_keys=True, ensure_ascii=False)}" for name, value in values]
            parts.append(
                f"<details><summary>{html(method)} on {html(group[0].dataset_title)}</summary>\n\n"
                f"`{record.spec.method}`, revision {record.spec.method_revision}. {markdown(record.paper)}\n\n"
                f"{code_block(chr(10).join(lines) or 'no parameters')}\n\n"
                "</details>"
            )
    return parts


def _environment_table(runs: Sequence[ReportRun]) -> Table:
    """What the runs ran on; where they differ, every value with its number of runs."""
    values: dict[str, Counter[str]] = {}
    for run in runs:
        for name, value in _flat(run.record.environment):
            values.setdefault(name, Counter())[value] += 1
    frame = pd.DataFrame(
        [(name, value, number) for name, counts in sorted(values.items()) for value, number in sorted(counts.items())],
        columns=["property", "value", "runs"],
    )
    return Table(
        name="environment",
        caption="Software and hardware of the runs.",
        header=["property", "value", "runs"],
        rows=[[Cell(str(value)) for value in row] for row in frame.itertuples(index=False)],
        frame=frame,
        words=frozenset({"value"}),
    )


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


def _listed(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last
