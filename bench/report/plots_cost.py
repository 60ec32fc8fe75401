"""Plots of encoding costs: against quality, batch size and the machine's roofline, and by part of the network."""

import math
import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from bench.profile.cost_types import REST
from bench.profile.operators import attainable_rate
from bench.report.costs import AT_LEAST
from bench.report.edges import fit, limits
from bench.report.figures import NEUTRAL, PLAIN, Plot, finished, methods_in, panels, with_methods
from bench.report.lettering import drawable
from bench.report.plots import measure_in
from bench.report.quality import select
from bench.report.styles import Style, look
from bench.report.tables import significant

BETWEEN = "between parts"
FRONT = "ringed: the Pareto front; no method is both cheaper and better than one on it"


def quality_by_time(name: str, title: str, joined: pd.DataFrame, styles: dict[str, Style]) -> Plot:
    """mAP over encoding time on one machine, a panel for each code length.

    `joined`: `quality.aggregate` at one k merged with `costs.aggregate`.
    """
    machine = joined["machine"].iloc[0]
    caption = f"on {title}, against encoding time at the best batch size on {machine} (bars: quartiles)"
    ends = ("batched_lower_ms", "batched_upper_ms")
    return _quality_by(name, caption, joined, styles, "batched_ms", "ms/video, best batch", ends)


def quality_by_flops(name: str, title: str, joined: pd.DataFrame, styles: dict[str, Style]) -> Plot:
    """mAP over multiply-adds, as fvcore counts them, a panel for each code length; `joined` as for time.

    Methods in which fvcore counts nothing have no place on a logarithmic axis and are left out. Those that are not
    counted whole lie at least so far to the right: they are marked, and on no front.
    """
    counted = joined[joined["flops"] > 0].assign(multiply_adds_m=lambda frame: frame["flops"] / 1e6)
    caption = f"on {title}, against multiply-adds{_lower_bounds(counted, 'are on no front')}"
    return _quality_by(name, caption, counted, styles, "multiply_adds_m", "multiply-adds/video (M)", None)


def throughput(name: str, title: str, times: pd.DataFrame, styles: dict[str, Style]) -> Plot:
    """Videos a second over batch size on one machine, a panel for each setting. `times`: one code length."""
    shown = times.assign(videos_per_second=1000 / times["ms"])

    def draw(axes: Axes, setting: str) -> None:
        for method, rows in select(shown, setting=setting).groupby("method", sort=False):
            by_batch = rows.sort_values("batch")
            style = styles[str(method)]
            axes.plot(
                by_batch["batch"], by_batch["videos_per_second"], linestyle=style.line, label=method, **look(style)
            )  # fmt: skip
        axes.set_title(setting)
        axes.set_xscale("log", base=4)
        axes.set_yscale("log")
        _plain_ticks(axes)

    def make() -> Figure:
        figure = panels(_settings(shown), draw, "batch size", "videos/s", share_y=True)
        return with_methods(figure, shown, styles)

    caption = f"Throughput of encoding {title}, against batch size, on {shown['machine'].iloc[0]}{_hidden(shown)}"
    return finished(name, caption, make, shown)


def roofline(name: str, title: str, times: pd.DataFrame, styles: dict[str, Style]) -> Plot:
    """Multiply-adds a second over multiply-adds a byte moved, at the best batch size, under the machine's roof.

    A panel for each setting. `times`: one machine, one code length, best batch sizes. Methods that are not counted
    whole are left out.
    """
    shown = times[(times["rate"] > 0) & ~times["flops_at_least"]]

    def draw(axes: Axes, setting: str) -> None:
        rows = select(shown, setting=setting)
        product, copy = rows["product_rate"].max(), rows["copy_rate"].max()
        ridge = product / copy
        reach = [min(rows["intensity"].min(), ridge) / 3, ridge, max(rows["intensity"].max(), ridge) * 3]
        roof = [attainable_rate(intensity, product, copy) / 1e9 for intensity in reach]
        axes.plot(reach, roof, color=NEUTRAL, linewidth=1)
        for _, row in rows.iterrows():
            drawn = look(styles[row["method"]], size=5.5)
            axes.plot(row["intensity"], row["rate"] / 1e9, linestyle="none", label=row["method"], **drawn)
        axes.set_title(setting)
        axes.set_xscale("log")
        axes.set_yscale("log")
        _plain_ticks(axes)

    def make() -> Figure:
        figure = panels(_settings(shown), draw, "multiply-adds per byte moved", "10⁹ multiply-adds/s", share_y=True)
        return with_methods(figure, shown, styles, lines=False)

    caption = (
        f"Roofline of encoding {title} at the best batch size, on {shown['machine'].iloc[0]} (line: what the measured "
        f"rates of matrix products and memory copies allow){_hidden(shown)}{_lower_bounds(times, 'are left out')}"
    )
    return finished(name, caption, make, shown)


def time_by_part(name: str, title: str, parts: pd.DataFrame, styles: dict[str, Style]) -> Plot:
    """The share of every part of the encoding network in its time, a panel for each measurement.

    `parts`: one machine, one code length. Methods that differ in their training alone are measured once.
    """
    whole = parts.groupby("method")["ms"].transform("sum")
    shown = parts.assign(percent=100 * parts["ms"] / whole, whole_ms=whole)
    alike = _measured_together(shown)

    def draw(axes: Axes, method: str) -> None:
        rows = select(shown, method=method)
        names = [drawable(BETWEEN if part == REST else part, 18) for part in rows["part"]]
        axes.barh(names, rows["percent"], color=styles[method].colour, height=0.7)
        axes.invert_yaxis()
        axes.set_label(method)
        others = f", as {alike[method]} more" if alike[method] else ""
        heading = f"{drawable(method, 88)}: {significant(1000 * rows['whole_ms'].iloc[0])} µs{others}"
        axes.set_title(textwrap.fill(heading, 24))
        axes.tick_params(axis="y", labelsize=6)
        axes.grid(visible=False, axis="y")

    def make() -> Figure:
        return panels(list(alike), draw, "% of the time", "part", share_y=False, share_x=True, most_columns=3)

    caption = (
        f"Encoding time of a video by part of the network on {title}, at the best batch size, "
        f"{parts['setting'].iloc[0]}, on {parts['machine'].iloc[0]}. Parts are named as in the table of multiply-adds; "
        f"“{BETWEEN}” is what is in none of them, such as activations and sums"
    )
    return finished(name, caption, make, shown)


def pareto_front(costs: Sequence[float], qualities: Sequence[float]) -> list[int]:
    """Indices of the points that no other point beats in both quality and cost, by ascending cost.

    A point beats another if it costs no more and is no worse, and differs in one of both.
    """
    order = sorted(range(len(costs)), key=lambda index: (costs[index], -qualities[index]))
    front: list[int] = []
    for index in order:
        point = (costs[index], qualities[index])
        if not front or point[1] > qualities[front[-1]] or point == (costs[front[-1]], qualities[front[-1]]):
            front.append(index)
    return front


def _quality_by(
    name: str,
    caption: str,
    joined: pd.DataFrame,
    styles: dict[str, Style],
    column: str,
    label: str,
    ends: tuple[str, str] | None,
) -> Plot:
    """mAP over a cost, with the Pareto front of the methods that compete; `ends`: columns with the cost's quartiles."""
    lower, upper = ends or (column, column)
    decades = math.log10(joined[upper].max() / joined[lower].min())
    shown = joined.assign(pareto=False)
    uncertain = shown["flops_at_least"] if column == "multiply_adds_m" else pd.Series(data=False, index=shown.index)
    for _, rows in shown[~shown["bound"] & ~uncertain].groupby("bits"):
        front = pareto_front(rows[column].tolist(), rows["map"].tolist())
        shown.loc[rows.index[front], "pareto"] = True

    shares = limits(shown, "map")

    def draw(axes: Axes, bits: int) -> None:
        here = fit(axes, select(shown, bits=bits), "map", shares, falling=False)
        front = here[here["pareto"]].sort_values(column)
        axes.step(front[column], front["map"], where="post", color=NEUTRAL, alpha=0.5, linewidth=0.9, zorder=1)
        axes.scatter(front[column], front["map"], s=90, facecolors="none", edgecolors=NEUTRAL, linewidths=0.8, zorder=1)
        colours = [styles[method].colour for method in here["method"]]
        if ends:
            # Over several measurements the mean of medians may lie outside the mean quartiles.
            low, high = here[[column, lower]].min(axis=1), here[[column, upper]].max(axis=1)
            axes.hlines(here["map"], low, high, colors=colours, linewidth=0.8)
        std = here["map_std"].fillna(0.0)
        axes.vlines(here[column], here["map"] - std, here["map"] + std, colors=colours, linewidth=0.8)
        for method, x, y in here[["method", column, "map"]].itertuples(index=False):
            axes.plot([x], [y], linestyle="none", label=method, **look(styles[method], size=5.5))
        for _, row in here[uncertain[here.index]].iterrows():
            axes.annotate(AT_LEAST, (row[column], row["map"]), (4, -2), textcoords="offset points", fontsize=8)
        axes.set_title(f"{bits} bits")
        _cost_ticks(axes, decades)

    k = int(shown["k"].iloc[0])

    def make() -> Figure:
        figure = panels(
            sorted(shown["bits"].unique()), draw, label, f"{measure_in(shown)}@{k}", share_y=True, share_x=True
        )
        return with_methods(figure, shown, styles, lines=False)

    return finished(name, f"{measure_in(shown)}@{k} {caption}; {FRONT}", make, shown)


def _cost_ticks(axes: Axes, decades: float) -> None:
    """A logarithmic axis if costs differ by a factor of ten or more, with as many ticks as have room."""
    if decades < 1:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    else:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if decades < 2 else (1,)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.08)
    axes.xaxis.set_major_formatter(PLAIN)


def _plain_ticks(axes: Axes) -> None:
    """Plain numbers on both logarithmic axes, at every half decade of the upright one."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PLAIN)
        axis.set_minor_locator(NullLocator())


def _lower_bounds(frame: pd.DataFrame, what: str) -> str:
    """A clause on the methods whose multiply-adds are a lower bound; empty where there is none."""
    methods = methods_in(frame[frame["flops_at_least"]])
    return f"; {AT_LEAST}: not all is counted of {', '.join(methods)}, which {what}" if methods else ""


def _settings(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(frame["setting"]))


def _hidden(times: pd.DataFrame) -> str:
    """A clause for methods that share a measurement, such as all linear ones; empty where none do."""
    if not any(_measured_together(times.assign(part=times["setting"])).values()):
        return ""
    return "; methods whose encoders are alike are measured once and coincide"


def _measured_together(parts: pd.DataFrame) -> dict[str, int]:
    """The first method of every measurement, and how many more share it."""
    first: dict[tuple[object, ...], str] = {}
    more: dict[str, int] = {}
    for method in methods_in(parts):
        rows = select(parts, method=method)
        known = first.setdefault((*rows["part"], *rows["ms"]), method)
        more[known] = more[known] + 1 if known in more else 0
    return more
