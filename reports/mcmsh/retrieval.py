"""The paper's figure of retrieved results: the top videos of several methods for the same queries."""

import textwrap
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.base.text import one_line
from bench.data.dataset import Dataset, Split
from bench.report.figures import FULL_WIDTH, Plot
from bench.report.lettering import drawable
from bench.report.recipe import Results
from bench.report.styles import COLOURS
from bench.store.codes_file import Stored, read_codes
from bench.store.stored_run import CODES

QUERIES, TOP = 4, 8
TIES_SEED = 0
HIT, MISS = COLOURS[0], COLOURS[1]
MARKS = {True: "✓", False: "✗"}
TILE_INCHES = 0.62
LABEL_WIDTH, LABEL_LINES = 9, 4


def choose_queries(labels: NDArray[np.uint8]) -> list[int]:
    """The first query of classes spread evenly over all that have one; the results play no part. `labels` (N, C)."""
    first = [int(column.argmax()) for column in labels.T if column.any()]
    spread = np.linspace(0, len(first) - 1, min(QUERIES, len(first))).round().astype(int)
    return list(dict.fromkeys(first[index] for index in spread))


def retrieve(codes: Stored, queries: Sequence[int]) -> pd.DataFrame:
    """The nearest videos of each query: query, rank (from 1), video, distance, hit.

    Equal distances come in random order, alike for every method: that of the gallery often follows the classes, and
    would show a class of its own where codes tell nothing. Where the queries are the gallery, the query itself is left
    out.
    """
    assert codes.query_labels is not None  # reproduce refuses data without labels
    labels = codes.query_labels if codes.gallery_labels is None else codes.gallery_labels
    rows = []
    for query in queries:
        distances = codes.distances(query)
        lots = np.random.default_rng([TIES_SEED, query]).random(len(distances))
        order = np.lexsort((lots, distances))
        nearest = order[order != query] if codes.self_search else order
        for rank, video in enumerate(nearest[:TOP].tolist(), start=1):
            hit = bool((labels[video] & codes.query_labels[query]).any())
            rows.append((query, rank, video, distances[video].item(), hit))
    return pd.DataFrame(rows, columns=["query", "rank", "video", "distance", "hit"])


def retrieval_plot(results: Results, data: Dataset) -> Plot | None:
    """Queries with the top results of all methods, hits and misses marked; None where a method has no codes."""
    (bits,) = results.need.bits
    runs = results.of_one_seed(bits)
    if not runs:
        return None
    parts = []
    for label, run in runs.items():
        codes = read_codes(run.stored.verified(CODES))
        assert codes.query_labels is not None  # reproduce refuses data without labels
        parts.append(retrieve(codes, choose_queries(codes.query_labels)).assign(method=label))
    frame = pd.concat(parts, ignore_index=True)
    frame["query_classes"] = [_classes(data, data.query, query) for query in frame["query"]]
    frame["video_classes"] = [_classes(data, data.gallery, video) for video in frame["video"]]
    itself = "; the query itself is left out" if data.gallery is data.query else ""
    shown = "middle frames" if data.query.frames and data.gallery.frames else "labels, since there are no frames"
    caption = (
        f"The {TOP} nearest videos on {one_line(data.summary.title)} at {bits} bits, seed "
        f"{next(iter(runs.values())).record.spec.seed} ({shown}): {MARKS[True]} shares a class with the query, "
        f"{MARKS[False]} shares none; the number is the Hamming distance. Queries were chosen by class, not by their "
        f"results; equal distances come in random order, the same for all methods{itself}"
    )
    return Plot("retrieval", f"{caption}.", partial(_draw, frame, data), frame)


def _classes(data: Dataset, split: Split, video: int) -> str:
    assert split.labels is not None  # a run is stored only where both have labels
    return ", ".join(data.class_names[index] for index in np.flatnonzero(split.labels[video]))


def _draw(frame: pd.DataFrame, data: Dataset) -> Figure:
    queries = list(dict.fromkeys(frame["query"].tolist()))
    methods = list(dict.fromkeys(frame["method"]))
    rows = len(queries) * len(methods)
    height = TILE_INCHES * rows * 1.12 + 0.35
    figure = Figure(figsize=(FULL_WIDTH, height))
    figure.text(0.01, 1 - 0.05 / height, "query", va="top")
    figure.text(0.28, 1 - 0.05 / height, "nearest videos, the first at the left", va="top")
    outer = figure.add_gridspec(
        len(queries), 1, left=0.01, right=0.99, top=1 - 0.27 / height, bottom=0.08 / height, hspace=0.12
    )
    with_frames = data.query.frames is not None and data.gallery.frames is not None
    for place, query in enumerate(queries):
        grid = outer[place].subgridspec(len(methods), TOP + 3, hspace=0.1, wspace=0.08)
        here = frame[frame["query"] == query]
        axes = figure.add_subplot(grid[:, :2])
        _tile(axes, data.query if with_frames else None, query, here["query_classes"].iloc[0], large=True)
        for line, method in enumerate(methods):
            _name(figure.add_subplot(grid[line, 2]), method)
            for row in here[here["method"] == method].to_dict("records"):
                axes = figure.add_subplot(grid[line, 2 + row["rank"]])
                _tile(axes, data.gallery if with_frames else None, row["video"], row["video_classes"])
                _mark(axes, bool(row["hit"]), int(row["distance"]))
    return figure


def _tile(axes: Axes, split: Split | None, video: int, classes: str, large: bool = False) -> None:
    """A video's middle frame, or its classes as text where there is no split with frames."""
    axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(True)
    size = 8 if large else 6
    width = LABEL_WIDTH * (2 if large else 1)
    lines = textwrap.wrap(drawable(classes, 80), width)[:LABEL_LINES]
    if split is None or split.frames is None:
        axes.set_facecolor("#F4F4F4")
        axes.text(0.5, 0.56, "\n".join(lines), ha="center", va="center", fontsize=size)
        return
    middle = split.frames([video])[0, split.features.shape[1] // 2]
    axes.imshow(middle, cmap="gray", vmin=0, vmax=255, extent=(0, 1, 0, 1), interpolation="nearest")
    if large:
        axes.set_xlabel(" ".join(lines), fontsize=7, labelpad=2)


def _name(axes: Axes, method: str) -> None:
    axes.set_axis_off()
    axes.text(0.9, 0.5, method, ha="right", va="center", transform=axes.transAxes)


def _mark(axes: Axes, hit: bool, distance: int) -> None:
    """Colour, line and sign all say the same, for readers who cannot tell the colours apart."""
    colour = HIT if hit else MISS
    for spine in axes.spines.values():
        spine.set(edgecolor=colour, linewidth=1.8, linestyle="-" if hit else (0, (3, 1.5)))
    for text, x, place in ((str(distance), 0.03, "left"), (MARKS[hit], 0.97, "right")):
        axes.text(
            x,
            0.03,
            text,
            transform=axes.transAxes,
            ha=place,
            va="bottom",
            fontsize=7 if text == MARKS[hit] else 6,
            color="white",
            bbox={"boxstyle": "square,pad=0.15", "facecolor": colour, "linewidth": 0},
        )
