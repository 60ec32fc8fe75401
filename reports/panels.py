"""The nine panels of papers on video hashing: mAP@k of all methods, datasets in rows, code lengths in columns."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from string import ascii_lowercase
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.base.text import one_line, slug
from bench.data.dataset import DatasetSource, Summary
from bench.registry import Registry
from bench.report import escape, quality
from bench.report.document import Document
from bench.report.edges import fit, limits
from bench.report.figures import NEUTRAL, Plot, finished, panels, with_methods
from bench.report.lettering import drawable
from bench.report.plots import MAP_AT_K_X, draw_map_at_k
from bench.report.published import PROTOCOL as PUBLISHED_PROTOCOL
from bench.report.published import PublishedScore, dataset_title, published, published_methods
from bench.report.quality import select
from bench.report.recipe import Need, Recipe, Results, Row
from bench.report.runs import ReportRun, bounds_of
from bench.report.styles import assign, look

BITS = (16, 32, 64)
PROTOCOL = "paper"
"""The protocol of all published numbers."""
HERE = "measured here"
"""Stands in the column `source` of the figure's numbers, beside the sources of published ones."""
NAME_WIDTH = 20
HOLLOW = Line2D([], [], linestyle="none", marker="o", color=NEUTRAL, markerfacecolor="none")


class Panels(Recipe):
    """mAP@k of methods on any datasets, in one figure, as the MCMSH paper shows it for FCVID, ActivityNet and YFCC."""

    name: ClassVar[str] = "panels"
    title: ClassVar[str] = "mAP@k by dataset, code length and method"
    artefacts: ClassVar[tuple[str, ...]] = ("panels",)
    all_datasets: ClassVar[bool] = True

    def needs(self, artefact: str, registry: Registry, methods: Collection[str] = ()) -> list[Need]:
        """The runs of the named methods; by default of those that the literature compares, as `panels_need` says."""
        return [panels_need(registry, methods)]

    def compose(
        self, document: Document, results: Mapping[str, Results], sources: Sequence[DatasetSource], registry: Registry
    ) -> None:
        """The figure, where its published numbers are from, and the settings of the runs on each dataset."""
        add_panels(document, results["panels"])
        for found in results["panels"].by_dataset().values():
            settings = found.conditions(registry)
            if settings:
                document.add(f"{escape.markdown(found.all[0].dataset_title)}. {escape.markdown(settings)}")


def panels_need(registry: Registry, methods: Collection[str]) -> Need:
    """The runs of these methods; if none are named, of all here that the literature has numbers of.

    Those are the methods that papers compare. Nine small panels have no room for ablations, bounds and shallow methods
    beside them; whoever wants these, or a new method, names them.
    """
    chosen = methods or sorted(published_methods() & set(registry.methods))
    return Need("panels", tuple(Row(method, method) for method in chosen), BITS)


def add_panels(document: Document, results: Results) -> None:
    """The figure, and where its published numbers are from."""
    done = [run for run in results.all if run.done]
    for found in results.by_dataset().values():
        if not any(run.done for run in found.all):
            document.add(f"No curves of {escape.markdown(found.all[0].dataset_title)}: none of the runs has a result.")
    if not done:
        return
    plot = panels_plot(done)
    if plot.banner:
        document.add(f"**{escape.markdown(plot.banner)}.**")
    document.add_plot(plot)
    marks = plot.frame[plot.frame["source"] != HERE]
    if marks.empty:
        document.add("There are no published numbers of these methods on these datasets.")
        return
    titles = {run.dataset: run.dataset_title for run in done}
    lines = []
    for source, rows in marks.groupby("source", sort=False):
        where = [
            f"{', '.join(here['method'].unique())} on {titles[str(dataset)]}"
            for dataset, here in rows.groupby("dataset", sort=False)
        ]
        lines.append(f"- {escape.markdown('; '.join(where) + f': {source}')}")
    document.add(f"Hollow marks are published, not measured here. {PUBLISHED_PROTOCOL}", "\n".join(lines))


def panels_plot(runs: Sequence[ReportRun]) -> Plot:
    """mAP@k over k of finished runs: a row of panels for each dataset, a column for each code length.

    Published numbers of the same methods, datasets and code lengths stand beside, of several sources the most trusted;
    generated data and datasets that the literature has no numbers of have none, and the banner says so.
    """
    measured = select(quality.aggregate(runs), protocol=PROTOCOL).assign(source=HERE)
    # A record just made and the same record read back list their k in different orders.
    measured = measured.sort_values("k", kind="stable")
    first = {run.dataset: run for run in runs}
    labels = {(run.dataset, run.record.spec.method): run.method for run in runs}
    beside = pd.DataFrame(
        [
            {"dataset": dataset, "method": label, "bits": bits, "k": score.k, "map": score.map, "source": score.source}
            for (dataset, method), label in labels.items()
            for bits in BITS
            for score in _published(first[dataset].record.dataset, method, bits)
        ],
        columns=["dataset", "method", "bits", "k", "map", "source"],
    )
    beside = beside[beside["k"].isin(measured["k"])]
    styles = assign({run.method: run.record.spec.method for run in runs}, bounds_of(runs))
    drawn = pd.concat([measured, beside.assign(bound=False)], ignore_index=True)
    ends = {dataset: limits(select(drawn, dataset=dataset), "map") for dataset in first}
    keys = [(dataset, bits) for dataset in first for bits in BITS]

    def draw(axes: Axes, key: tuple[str, int]) -> None:
        dataset, bits = key
        here = fit(axes, select(measured, dataset=dataset, bits=bits), "map", ends[dataset], falling=True)
        draw_map_at_k(axes, here, measured, styles)
        for method, rows in select(beside, dataset=dataset, bits=bits).groupby("method", sort=False):
            hollow = look(styles[str(method)]) | {"linestyle": "none", "markerfacecolor": "none"}
            axes.plot(rows["k"], rows["map"], **hollow)
        data = first[dataset].record.dataset
        name = drawable(_name(data), NAME_WIDTH) + " (stand-in)" * data.stand_in
        again, letter = divmod(keys.index(key), len(ascii_lowercase))
        axes.set_title(f"({ascii_lowercase[letter] * (again + 1)}) {name}, {bits} bits")

    def make() -> Figure:
        figure = panels(keys, draw, MAP_AT_K_X, "mAP@k", share_y="row", share_x=True, most_columns=len(BITS))
        figure.align_ylabels()
        hollow = {} if beside.empty else {"hollow: published": HOLLOW}
        return with_methods(figure, measured, styles, ends=True, others=hollow)

    names = ", ".join(one_line(run.dataset_title) for run in first.values())
    caption = f"mAP@k under protocol {PROTOCOL} at {', '.join(map(str, BITS))} bits on {names}; lines are measured here"
    plot = finished("panels", caption, make, pd.concat([measured, beside], ignore_index=True))
    return replace(plot, banner=_banner([run.record.dataset for run in first.values()]))


def _banner(shown: Sequence[Summary]) -> str:
    """The datasets that are none of the literature's; "" where all are."""
    generated = [_name(data) for data in shown if data.stand_in]
    others = [_name(data) for data in shown if not data.stand_in and dataset_title(data.name) is None]
    parts = [f"stand-in data, not the real {', '.join(generated)}"] if generated else []
    parts += [f"not a dataset of the papers: {', '.join(others)}"] if others else []
    return one_line("; ".join(parts))


def _name(data: Summary) -> str:
    """The literature's name, which is short; else the title."""
    return dataset_title(data.name) or data.title


def _published(data: Summary, method: str, bits: int) -> list[PublishedScore]:
    """The published numbers of a method on a dataset at a code length, by k: the most trusted source of each."""
    title = dataset_title(data.name)
    if title is None or data.stand_in:
        return []
    by_k: dict[int, PublishedScore] = {}
    for score in published(dataset=title, bits=bits):
        if slug(score.method) == method:
            by_k.setdefault(score.k, score)
    return list(by_k.values())
