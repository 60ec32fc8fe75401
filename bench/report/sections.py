"""The section of a dataset: quality, other metrics, costs and training; the essence first, details folded."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bench.base.text import slug
from bench.report import (
    binarising,
    cost_frames,
    costs,
    frames,
    other_metrics,
    plots,
    plots_cost,
    published_tables,
    quality,
    retrieved,
    ties,
    times,
    training,
)
from bench.report.combined import Scored
from bench.report.document import Document
from bench.report.escape import markdown
from bench.report.findings import findings
from bench.report.quality import select
from bench.report.runs import ReportRun, bits_of, headline_ks, protocols_of, protocols_phrase
from bench.report.styles import Style


def add_dataset(
    document: Document, runs: Sequence[ReportRun], styles: dict[str, Style]
) -> tuple[list[str], Scored | None]:
    """Add everything about the runs of one dataset. Returns the findings and the scores, for the opening."""
    with document.about(dataset=runs[0].dataset):
        return _add_dataset(document, runs, styles)


def _add_dataset(
    document: Document, runs: Sequence[ReportRun], styles: dict[str, Style]
) -> tuple[list[str], Scored | None]:
    section = _Section(document, runs, styles)
    document.add_section(runs[0].dataset_title)
    document.add(dataset_sentence(runs))
    scores = quality.aggregate(runs)
    groups = quality.equal_protocols(scores, protocols_of(runs))
    shown = None
    if groups:
        shown = section.add_quality(scores, groups)
        section.add_other_metrics(scores)
        section.add_binarising()
        section.add_retrieved()
    measured = section.add_costs(scores, groups)
    section.add_training()
    if shown is None:
        return [], None
    return findings(runs[0].dataset_title, select(shown, protocol=groups[0][0]), measured), Scored(runs, shown, groups)


def dataset_sentence(runs: Sequence[ReportRun]) -> str:
    """What a dataset holds. `runs`: on this one."""
    data = runs[0].record.dataset
    if data.self_search:
        search = f"{data.query_videos:,} queries, searched among themselves"
    else:
        search = f"{data.query_videos:,} queries against a gallery of {data.gallery_videos:,}"
    return (
        f"`{runs[0].dataset}`: {data.train_videos:,} training videos, {search}; {data.frames} frames × "
        f"{data.dimensions:,} dimensions per video; {f'{data.classes:,} classes' if data.classes else 'no labels'}. "
        f"Data fingerprint `{runs[0].record.spec.dataset_fingerprint[:12]}`."
    )


@dataclass(frozen=True)
class _Section:
    """Adds the tables and plots of one dataset to a document."""

    document: Document
    runs: Sequence[ReportRun]
    styles: dict[str, Style]

    @property
    def name(self) -> str:
        return self.runs[0].dataset

    @property
    def title(self) -> str:
        return self.runs[0].dataset_title

    def title_under(self, protocols: Sequence[str]) -> str:
        return f"{self.title} under {protocols_phrase(protocols)}"

    def add_quality(self, scores: pd.DataFrame, groups: Sequence[Sequence[str]]) -> pd.DataFrame:
        """mAP@k under one protocol of every group of equals. Returns what is shown, from `quality.marked`."""
        add, runs = self.document.add, self.runs
        shown = quality.marked(runs, scores[scores["protocol"].isin([group[0] for group in groups])])
        add("### Retrieval quality")
        for group in groups:
            if len(group) > 1:
                add(f"Protocols {' and '.join(map(markdown, group))} give the same numbers here; they are shown once.")
        with self.document.folded("All methods and code lengths in rows, with confidence intervals"):
            self.document.add_table(quality.overview_table(runs, shown, groups))
        for group in groups:
            with self.document.about(protocol="\n".join(group)):
                if len(groups) > 1:
                    add(f"#### Protocol {' and '.join(f'“{markdown(protocol)}”' for protocol in group)}")
                self._add_protocol(select(shown, protocol=group[0]), group)
        return shown

    def _add_protocol(self, scores: pd.DataFrame, group: Sequence[str]) -> None:
        name, title = f"{self.name}-{slug(group[0])}", self.title_under(group)
        ks = sorted(int(k) for k in scores["k"].unique())
        self.document.add_plot(plots.map_at_k(f"{name}-map-at-k", title, scores, self.styles))
        with self.document.folded(f"{plots.measure_in(scores)}@k at every k, {protocols_phrase(group)}"):
            for bits in bits_of(self.runs):
                with self.document.about(bits=str(bits)):
                    self.document.add(f"##### {bits} bits")
                    self.document.add_table(quality.table(self.runs, scores, group, bits))
                    if published_tables.NEAREST_PROTOCOL in group:
                        self.document.add_table(published_tables.beside(self.runs, bits, ks))
            ranges = ties.tie_ranges(f"{name}-ties", title, scores, self.styles)
            if ranges is not None:
                self.document.add("##### What the order of ties alone changes")
                self.document.add_plot(ranges)
            if scores["bits"].nunique() > 1:
                self.document.add("##### By code length")
                self.document.add_plot(plots.map_by_bits(f"{name}-map-by-bits", title, scores, self.styles))

    def add_other_metrics(self, scores: pd.DataFrame) -> None:
        """Tables and curves of the metrics beside mAP@k."""
        k = headline_ks([int(k) for k in scores["k"].unique()])[0]
        for group in quality.equal_protocols(frames.other_metrics(self.runs, k), protocols_of(self.runs)):
            summary = f"Other metrics and precision–recall curves, {protocols_phrase(group)}"
            with self.document.about(protocol="\n".join(group)), self.document.folded(summary):
                self.document.add_table(other_metrics.table(self.runs, group, k))
                name = f"{self.name}-{slug(group[0])}-precision-recall"
                curves = other_metrics.curves(self.runs, group[0])
                if not curves.empty:
                    self.document.add_plot(plots.precision_recall(name, self.title_under(group), curves, self.styles))

    def add_binarising(self) -> None:
        """What taking signs costs, where relaxed outputs were scored."""
        table = binarising.table(self.runs)
        if table is not None:
            with self.document.folded(table.caption.removesuffix(".")):
                self.document.add_table(table)

    def add_retrieved(self) -> None:
        """The first results of a few queries."""
        table = retrieved.table(self.runs)
        if table is not None:
            with self.document.folded(table.caption.removesuffix(".")):
                self.document.add_table(table)

    def add_costs(self, scores: pd.DataFrame, groups: Sequence[Sequence[str]]) -> pd.DataFrame:
        """The costs of encoding, and mAP under the first protocols against them. Returns them if of one machine."""
        self.document.add("### Cost")
        table = costs.encoding_table(self.runs)
        machines = costs.machines(table.frame)
        if len(machines) > 1:
            self.document.add(
                f"**Times here come from {len(machines)} machines and must not be ranked together**: only shares of "
                "the machines' rates compare, and rows of the same machine."
            )
        self.document.add_table(table)
        if not machines:
            return table.frame[:0]
        endings = {machine: f"-{number}" * (len(machines) > 1) for number, machine in enumerate(machines, start=1)}
        joined = _with_costs(scores, groups, table.frame)
        for machine, ending in endings.items():
            here = select(joined, machine=machine)
            if not here.empty:
                name, title = f"{self.name}-map-by-time{ending}", self.title_under(groups[0])
                self.document.add_plot(plots_cost.quality_by_time(name, title, here, self.styles))
        timed = times.aggregate(self.runs)
        details = [times.time_table(self.runs, timed), times.machine_table(self.runs), times.search_table(self.runs)]
        for detail in filter(None, [*details, times.module_table(self.runs)]):
            with self.document.folded(detail.caption.removesuffix(".")):
                self.document.add_table(detail)
        with self.document.folded("Figures: multiply-adds, throughput, roofline, time by part of the network"):
            counted = select(joined, machine=machines[0])
            if (counted["flops"] > 0).any():
                name, title = f"{self.name}-map-by-flops", self.title_under(groups[0])
                self.document.add_plot(plots_cost.quality_by_flops(name, title, counted, self.styles))
            for machine, ending in endings.items():
                self._add_times(select(timed, machine=machine), ending)
                self._add_parts(machine, ending)
        return table.frame if len(machines) == 1 else table.frame[:0]

    def _add_times(self, timed: pd.DataFrame, ending: str) -> None:
        longest = max(timed["bits"])
        shown = timed[(timed["bits"] == longest) & ~timed["with_transfer"]]
        title = f"{self.title} at {longest} bits"
        self.document.add_plot(plots_cost.throughput(f"{self.name}-throughput{ending}", title, shown, self.styles))
        best = times.best_batches(shown)
        if ((best["rate"] > 0) & ~best["flops_at_least"]).any():
            self.document.add_plot(plots_cost.roofline(f"{self.name}-roofline{ending}", title, best, self.styles))

    def _add_parts(self, machine: str, ending: str) -> None:
        longest = bits_of(self.runs)[-1]
        found = select(cost_frames.parts(self.runs), machine=machine, bits=longest)
        # Of several measurements the first: a mean of parts would hide which belong together.
        first = found[found["seed"] == found.groupby("method")["seed"].transform("min")]
        networks = first.groupby("method").filter(lambda rows: len(rows) > 1)
        if not networks.empty:
            name, title = f"{self.name}-time-by-part{ending}", f"{self.title} at {longest} bits"
            self.document.add_plot(plots_cost.time_by_part(name, title, networks.assign(seeds=1), self.styles))

    def add_training(self) -> None:
        """Epochs, times, losses, and the balance of the codes."""
        self.document.add("### Training")
        with self.document.folded("Epochs, time, final loss, balance of the bits, and how weights were chosen"):
            self.document.add_table(training.table(self.runs))
            losses = frames.losses(self.runs)
            if not losses.empty:
                by = ("dataset", "method", "bound", "bits", "epoch")
                mean = frames.over_seeds(losses, by, spread=["loss"])
                self.document.add_plot(plots.training_loss(f"{self.name}-training-loss", self.title, mean, self.styles))


def _with_costs(scores: pd.DataFrame, groups: Sequence[Sequence[str]], costs: pd.DataFrame) -> pd.DataFrame:
    """mAP at the first headline k under the first protocol, with what encoding costs on each machine."""
    first = select(scores, protocol=groups[0][0]) if groups else scores
    ks = headline_ks([int(k) for k in first["k"].unique()])[:1] if groups else []
    here = first[first["k"].isin(ks)]
    return here.merge(costs.drop(columns="seeds"), on=["dataset", "method", "bound", "bits"])
