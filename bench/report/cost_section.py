"""The part of a report that says what encoding costs."""

from collections.abc import Sequence
from typing import Protocol

import pandas as pd

from bench.report import cost_frames, costs, plots_cost, times
from bench.report.plots import Plot
from bench.report.quality import headline_ks, select
from bench.report.render import Table
from bench.report.runs import ReportRun, bits_of
from bench.report.style import Style


class Target(Protocol):
    """What takes the section: a document."""

    def add(self, *parts: str) -> None: ...
    def add_table(self, table: Table) -> None: ...
    def add_plot(self, plot: Plot) -> None: ...


def add_costs(target: Target, runs: Sequence[ReportRun], scores: pd.DataFrame, styles: dict[str, Style]) -> None:
    """Tables and plots of one dataset; `scores`: its `quality.aggregate` under the first protocol, or empty."""
    encoding = costs.encoding_table(runs)
    machines = costs.machines(encoding.frame)
    if len(machines) > 1:
        target.add(
            f"**Times here come from {len(machines)} machines and must not be ranked together**: only shares of the "
            "machines' rates compare, and rows of the same machine."
        )
    target.add_table(encoding)
    if not machines:
        return
    timed = times.aggregate(runs)
    for table in (
        times.time_table(runs, timed),
        times.machine_table(runs),
        times.search_table(runs),
        times.module_table(runs),
    ):
        if table is not None:
            target.add_table(table)
    for number, machine in enumerate(machines, start=1):
        ending = f"-{number}" if len(machines) > 1 else ""
        if not scores.empty:
            _quality(target, runs, scores, select(encoding.frame, machine=machine), ending, styles, number == 1)
        _times(target, runs, select(timed, machine=machine), ending, styles)
        _parts(target, runs, machine, ending, styles)


def _quality(
    target: Target,
    runs: Sequence[ReportRun],
    scores: pd.DataFrame,
    measured: pd.DataFrame,
    ending: str,
    styles: dict[str, Style],
    first: bool,
) -> None:
    """mAP at the first headline k against time on one machine and, once, against multiply-adds."""
    dataset, title = runs[0].dataset, f"{runs[0].dataset_title} under protocol {scores['protocol'].iloc[0]}"
    k = headline_ks([int(k) for k in scores["k"].unique()])[0]
    joined = select(scores, k=k).merge(measured.drop(columns="seeds"), on=["dataset", "method", "bound", "bits"])
    if joined.empty:
        return
    target.add_plot(plots_cost.quality_by_time(f"{dataset}-map-by-time{ending}", title, joined, styles))
    if first and (joined["flops"] > 0).any():
        target.add_plot(plots_cost.quality_by_flops(f"{dataset}-map-by-flops", title, joined, styles))


def _times(
    target: Target, runs: Sequence[ReportRun], timed: pd.DataFrame, ending: str, styles: dict[str, Style]
) -> None:
    longest = max(timed["bits"])
    dataset, title = runs[0].dataset, f"{runs[0].dataset_title} at {longest} bits"
    shown = timed[(timed["bits"] == longest) & ~timed["with_transfer"]]
    target.add_plot(plots_cost.throughput(f"{dataset}-throughput{ending}", title, shown, styles))
    best = times.best_batches(shown)
    if ((best["rate"] > 0) & ~best["flops_at_least"]).any():
        target.add_plot(plots_cost.roofline(f"{dataset}-roofline{ending}", title, best, styles))


def _parts(target: Target, runs: Sequence[ReportRun], machine: str, ending: str, styles: dict[str, Style]) -> None:
    longest = bits_of(runs)[-1]
    found = select(cost_frames.parts(runs), machine=machine, bits=longest)
    # Of several measurements the first: a mean of parts would hide which belong together.
    first = found[found["seed"] == found.groupby("method")["seed"].transform("min")]
    networks = first.groupby("method").filter(lambda rows: len(rows) > 1)
    if not networks.empty:
        title = f"{runs[0].dataset_title} at {longest} bits"
        shown = networks.assign(seeds=1)
        target.add_plot(plots_cost.time_by_part(f"{runs[0].dataset}-time-by-part{ending}", title, shown, styles))
