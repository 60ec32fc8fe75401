"""`report.md`: what was compared, how to read it, then quality, cost and training for every dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from bench.report import (
    appendix,
    cautions,
    cost_section,
    frames,
    other_metrics,
    plots,
    problems,
    published,
    quality,
    side_by_side,
)
from bench.report.escape import code_block, markdown
from bench.report.plots import Plot
from bench.report.render import Table, to_markdown
from bench.report.runs import (
    BOUND,
    ReportRun,
    bits_of,
    bounds_of,
    datasets_of,
    methods_of,
    protocols_of,
    seeds_of,
    stand_in_phrase,
)
from bench.report.style import Style, assign
from bench.report.training import training_table
from bench.text import slug

MARKER = "<!-- rendered by vhbench from stored results; `bench report` writes it anew -->"

HOW_TO_READ = """\
- **mAP@k**: every query video ranks the gallery by the Hamming distance between codes; mAP@k is the average precision
  of the first *k* results, averaged over all queries. From 0 to 1, higher is better.
- **recall@k** stands in its place where a dataset has no labels: the share of a query's exact neighbours, by the cosine
  of the mean features, among its first *k* results. It tells how well codes keep the features, not what they mean.
- **Protocol**: mAP@k of two sources compare only if both divide AP by the same number, treat a query's own copy alike,
  and treat ties alike. Every table says what it does. `paper` follows the papers' released code; `strict` leaves the
  query itself out and divides AP by what can be found.
- **Confidence intervals** tell how far mAP@k would move with other queries. They cover no other seeds.
- **Ties**: short codes put many videos at the same distance. Columns “ties” show mAP@k with the worst and with the best
  order among them: a smaller difference between two methods may come from the order of ties alone.
- **Bounds** (grey, dashed) tell what is possible and compete with nobody: they are never best, in no test and on no
  Pareto front. The oracle was shown the labels; random codes learned nothing.
- **Published** numbers stand in italics in tables of their own, each with its source. They were not measured here and
  are not ranked or plotted.
- **Precision–recall curves** have a point for every Hamming radius, without interpolation. Where no video lies within a
  radius, precision counts as 0, so curves of long codes start low.
- **Cost**: multiply-adds and parameters do not depend on the machine; times do, and compare only on the same one.
  Across machines compare the shares of the machine's measured rates. `docs/costs.md` says what each figure includes.
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
    """The whole report. Its plots must be drawn within `plots.settings()`."""
    document = Document()
    datasets = datasets_of(runs)
    styles = assign(methods_of(runs), bounds_of(runs))
    document.add(MARKER, _title(datasets), *_overview(runs, datasets))
    document.add("## How to read this", HOW_TO_READ)
    for group in datasets.values():
        earlier = len(document.plots)
        _dataset(document, group, styles)
        data = group[0].record.dataset
        if data.stand_in:  # pictures travel without their captions
            document.plots[earlier:] = [
                replace(plot, banner=stand_in_phrase(data)) for plot in document.plots[earlier:]
            ]
    missing = problems.table(runs)
    if missing is not None:
        document.add("## Runs without a result")
        document.add_table(missing)
    document.add("## Parameters", *appendix.parameters(datasets))
    document.add("## Environment", "<details><summary>Software and hardware of the runs</summary>")
    document.add_table(appendix.environment_table(runs))
    document.add("</details>")
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
        names += f" Bounds: {', '.join(markdown(bound.removesuffix(BOUND)) for bound in sorted(bounds))}."
    doubts = [doubt for group in datasets.values() for doubt in cautions.cautions(group)]
    warned = ["**Be careful with**", "\n".join(f"- {markdown(doubt)}" for doubt in doubts)] if doubts else []
    return [sentence, names.strip(), *warned, *(_dataset_sentence(group) for group in datasets.values())]


def _dataset_sentence(runs: Sequence[ReportRun]) -> str:
    data = runs[0].record.dataset
    if data.self_search:
        search = f"{data.query_videos:,} queries, searched among themselves"
    else:
        search = f"{data.query_videos:,} queries against a gallery of {data.gallery_videos:,}"
    return (
        f"**{markdown(runs[0].dataset_title)}** (`{runs[0].dataset}`): {data.train_videos:,} training videos, "
        f"{search}; {data.frames} frames × {data.dimensions:,} dimensions per video; "
        f"{f'{data.classes:,} classes' if data.classes else 'no labels'}. "
        f"Data fingerprint `{runs[0].record.spec.dataset_fingerprint[:12]}`."
    )


def _dataset(document: Document, runs: Sequence[ReportRun], styles: dict[str, Style]) -> None:
    document.add(f"## {markdown(runs[0].dataset_title)}")
    scores = quality.aggregate(runs)
    protocols = protocols_of(runs)
    if protocols:
        document.add("### Protocols side by side, with confidence intervals")
        document.add_table(side_by_side.table(runs, scores))
    for protocol in protocols:
        _quality(document, runs, quality.select(scores, protocol=protocol), protocol, styles)
    if protocols:
        _other_metrics(document, runs, scores, styles)
    document.add("### Cost")
    first = quality.select(scores, protocol=protocols[0]) if protocols else scores
    cost_section.add_costs(document, runs, first, styles)
    document.add("### Training")
    document.add_table(training_table(runs))
    losses = frames.losses(runs)
    if not losses.empty:
        by = ("dataset", "method", "bound", "bits", "epoch")
        mean = frames.over_seeds(losses, by, spread=["loss"])
        document.add_plot(plots.training_loss(f"{runs[0].dataset}-training-loss", runs[0].dataset_title, mean, styles))


def _quality(
    document: Document, runs: Sequence[ReportRun], scores: pd.DataFrame, protocol: str, styles: dict[str, Style]
) -> None:
    name = f"{runs[0].dataset}-{slug(protocol)}"
    title = f"{runs[0].dataset_title} under protocol {protocol}"
    ks = [int(k) for k in scores["k"].unique()]
    document.add(f"### Retrieval quality, protocol “{markdown(protocol)}”")
    document.add_plot(plots.map_at_k(f"{name}-map-at-k", title, scores, styles))
    for bits in bits_of(runs):
        document.add(f"#### {bits} bits")
        document.add_table(quality.table(runs, scores, protocol, bits))
        if protocol == published.NEAREST_PROTOCOL:
            for table in published.tables(runs, bits, ks):
                document.add_table(table)
    if scores["bits"].nunique() > 1:
        document.add("#### By code length")
        document.add_plot(plots.map_by_bits(f"{name}-map-by-bits", title, scores, styles))


def _other_metrics(
    document: Document, runs: Sequence[ReportRun], scores: pd.DataFrame, styles: dict[str, Style]
) -> None:
    document.add("### Other metrics")
    k = quality.headline_ks([int(k) for k in scores["k"].unique()])[0]
    for protocols in other_metrics.protocol_groups(runs, k):
        document.add(f"#### Protocol {' and '.join(f'“{markdown(protocol)}”' for protocol in protocols)}")
        document.add_table(other_metrics.table(runs, protocols, k))
        title = f"{runs[0].dataset_title} under protocol {' and '.join(protocols)}"
        name = f"{runs[0].dataset}-{slug(protocols[0])}-precision-recall"
        curves = other_metrics.curves(runs, protocols[0])
        document.add_plot(plots.precision_recall(name, title, curves, styles))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last
