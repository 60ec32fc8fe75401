"""One summary over datasets: mean ranks, Borda counts, and which ranks are nearer than the critical difference.

The tests are those of Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006: Friedman's
for any difference, then Nemenyi's for pairs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from bench.base.text import slug
from bench.metrics.protocols import measure_of
from bench.report import quality
from bench.report.document import Document
from bench.report.figures import Plot, finished, panels, with_methods
from bench.report.runs import ReportRun, headline_ks, protocols_of, protocols_phrase, stand_in_phrase
from bench.report.significance import ALPHA
from bench.report.styles import Style, look
from bench.report.tables import BITS, METHOD, NOTHING, Cell, Column, Table, best_as_shown, number

LEAST_DATASETS = 3
DECIMALS = 2
TITLE = "Over all datasets"
COLUMNS = [
    "protocol", "k", "bits", "method", "dataset", "seeds", "map", "rank", "mean_rank", "borda", "not_worse", "p",
    "critical_difference",
]  # fmt: skip


@dataclass(frozen=True)
class Ranking:
    """How methods rank on several datasets. `ranks` (datasets, methods): 1 is the best, equal scores share their mean.

    Attributes:
        p: of Friedman's test, corrected for ties; NaN for two methods.
        critical_difference: the difference of two mean ranks from which Nemenyi's test rejects that they are equal.
    """

    ranks: NDArray[np.float64]
    p: float
    critical_difference: float

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean ranks (methods,)."""
        return self.ranks.mean(axis=0)

    @property
    def borda(self) -> NDArray[np.float64]:
        """Methods that each is better than, summed over the datasets (methods,); an equal one counts half."""
        return (self.ranks.shape[1] - self.ranks).sum(axis=0)

    @property
    def not_worse(self) -> NDArray[np.bool_]:
        """Methods (methods,) that cannot be told apart from the one of the best mean rank, which is among them."""
        if not self.p < ALPHA:
            return np.ones(len(self.mean), dtype=bool)
        return self.mean - self.mean.min() < self.critical_difference


def ranking(scores: NDArray[np.float64]) -> Ranking:
    """The ranking of `scores` (datasets, methods), of which higher ones are better; two methods or more."""
    from scipy.stats import friedmanchisquare, rankdata, studentized_range  # noqa: PLC0415  slow, and few reports need it

    datasets, methods = scores.shape
    ranks = rankdata(-scores, axis=1)
    p = float(friedmanchisquare(*scores.T).pvalue) if methods > 2 else math.nan
    quantile = studentized_range.ppf(1 - ALPHA, methods, np.inf) / math.sqrt(2)
    return Ranking(ranks, p, float(quantile * math.sqrt(methods * (methods + 1) / (6 * datasets))))


def add_summary(document: Document, runs: Sequence[ReportRun], styles: dict[str, Style]) -> None:
    """Add a section on the methods that have results on three datasets or more, under every protocol; else nothing."""
    if len({run.dataset for run in runs}) < LEAST_DATASETS:
        return
    titles = {run.dataset: run.dataset_title for run in runs}
    scores = quality.aggregate(runs)
    parts = {protocol: _ranked(scores, protocol) for protocol in protocols_of(runs)}
    frame = pd.concat([part for part in parts.values() if not part.empty] or [pd.DataFrame()])
    if frame.empty:
        return
    document.add_section(TITLE)
    stand_ins = [run.record.dataset for run in runs if run.record.dataset.stand_in]
    document.banner = "; ".join(dict.fromkeys(map(stand_in_phrase, stand_ins)))
    for group in quality.equal_protocols(frame.drop(columns="map"), frame["protocol"].unique()):
        here = quality.select(frame, protocol=group[0])
        document.add_table(_table(here, group, titles, _left_out(runs, here)))
        document.add_plot(_diagram(here, group, styles))


def _ranked(scores: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """A row for each method, code length and dataset under a protocol; none where fewer than three datasets have it.

    At a code length count the datasets on which two methods or more have a result, and the methods with one on all.
    """
    here = quality.select(scores, protocol=protocol)
    here = here[~here["bound"].astype(bool)]
    if here.empty:
        return here
    here = quality.select(here, k=headline_ks([int(k) for k in here["k"].unique()])[0])
    found = []
    for _, rows in here.groupby("bits"):
        table = rows.pivot_table(index="dataset", columns="method", values="map", sort=False)
        table = table[table.notna().sum(axis=1) > 1].dropna(axis=1)
        if len(table) < LEAST_DATASETS or len(table.columns) < 2:
            continue
        ranked = ranking(table.to_numpy())
        ranks = pd.DataFrame(ranked.ranks, table.index, table.columns).reset_index().melt("dataset", value_name="rank")
        methods = pd.DataFrame(
            {"mean_rank": ranked.mean, "borda": ranked.borda, "not_worse": ranked.not_worse},
            index=table.columns,
        )
        joined = rows.merge(ranks, on=["dataset", "method"]).merge(methods.reset_index(), on="method")
        found.append(joined.assign(p=ranked.p, critical_difference=ranked.critical_difference))
    return pd.concat(found)[COLUMNS] if found else here[:0]


def _left_out(runs: Sequence[ReportRun], frame: pd.DataFrame) -> list[str]:
    ranked = set(frame["method"])
    return list(dict.fromkeys(run.method for run in runs if not run.record.bound and run.method not in ranked))


def _once(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each method and code length, the best first."""
    return frame.drop_duplicates(["bits", "method"]).sort_values(["bits", "mean_rank"], kind="stable")


def _table(frame: pd.DataFrame, group: Sequence[str], titles: dict[str, str], left_out: Sequence[str]) -> Table:
    once = _once(frame)
    once = once.assign(best=best_as_shown(-once["mean_rank"], [once["bits"]], DECIMALS))
    ranks = {(row["method"], row["bits"], row["dataset"]): row["rank"] for row in frame.to_dict("records")}
    datasets = list(dict.fromkeys(frame["dataset"]))
    measure = f"{measure_of(group[0])}@{frame['k'].iloc[0]}"

    def rank_on(dataset: str) -> Column:
        return Column(titles[dataset], lambda row: _shown(ranks.get((row["method"], row["bits"], dataset))))

    columns = [
        METHOD,
        BITS,
        Column("mean rank", lambda row: Cell(
            number(row["mean_rank"], decimals=DECIMALS), bold=row["best"],
            mark="†" if row["not_worse"] and not row["best"] else "",
        )),
        Column("Borda", lambda row: _shown(row["borda"])),
        *map(rank_on, datasets),
    ]  # fmt: skip
    return Table.of(
        columns,
        once.to_dict("records"),
        name=f"over-datasets-{slug(group[0])}",
        caption=f"Ranks by {measure} on {len(datasets)} datasets, {protocols_phrase(group)}.",
        frame=frame,
        notes=[
            f"Ranks by {measure}, seeds averaged: 1 is the best, equal scores share their mean. Borda: methods that it "
            "is better than, summed over the datasets; an equal one counts half. Bold: the lowest mean rank.",
            *_tests(once),
            f"Not ranked, without a result on all datasets: {', '.join(left_out)}." if left_out else "",
        ],
    )


def _shown(count: float | None) -> str:
    """A rank or a count, which may be a half."""
    return NOTHING if count is None else f"{count:g}"


def _tests(once: pd.DataFrame) -> list[str]:
    """What the tests say at every code length."""
    parts = [
        f"{bits} bits: {_p(rows['p'].iloc[0])}, critical difference {rows['critical_difference'].iloc[0]:.2f}"
        for bits, rows in once.groupby("bits")
    ]
    return [
        f"† cannot be told apart from the lowest mean rank: Friedman's test (p < {ALPHA}), then Nemenyi's at {ALPHA} "
        f"({'; '.join(parts)}). Few datasets show only large differences."
    ]


def _p(value: float) -> str:
    if math.isnan(value):
        return "two methods, no test"
    return f"p = {value:.3f}" if value >= 0.0005 else "p < 0.001"


def _diagram(frame: pd.DataFrame, group: Sequence[str], styles: dict[str, Style]) -> Plot:
    """Mean ranks with half the critical difference to both sides, a panel for each code length."""

    def draw(axes: Axes, bits: int) -> None:
        rows = quality.select(_once(frame), bits=bits)
        colours = [styles[method].colour for method in rows["method"]]
        # Ends beyond the ranks that there are would say nothing more.
        low, high = (rows["mean_rank"] + sign * rows["critical_difference"] / 2 for sign in (-1, 1))
        axes.hlines(-np.arange(len(rows)), low.clip(lower=1), high.clip(upper=len(rows)), colors=colours, linewidth=2)
        for place, (method, rank) in enumerate(zip(rows["method"], rows["mean_rank"], strict=True)):
            axes.plot([rank], [-place], linestyle="none", **look(styles[method], 6))
        axes.set_title(f"{bits} bits")
        axes.set_ylim(-len(rows) + 0.4, 0.6)
        axes.yaxis.set_major_locator(NullLocator())
        axes.set_xlim(0.8, len(rows) + 0.2)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))

    def make() -> Figure:
        lengths = sorted(int(bits) for bits in frame["bits"].unique())
        figure = panels(lengths, draw, "mean rank", "", share_y=False)
        return with_methods(figure, _once(frame), styles, lines=False)

    caption = (
        f"Mean ranks over {frame['dataset'].nunique()} datasets, {protocols_phrase(group)}, with the critical "
        "difference as a line: methods whose lines overlap cannot be told apart"
    )
    return finished(f"over-datasets-{slug(group[0])}", caption, make, frame)
