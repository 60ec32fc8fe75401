"""The page says what the tables and figures say, runs nothing but its own script, and asks no network."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.report import figures
from bench.report.chart import chart
from bench.report.document import Document
from bench.report.figures import Plot
from bench.report.lettering import drawable
from bench.report.page import page
from bench.report.tables import Cell, Column, Facets, Row, Table, to_csv

VOID = {"meta", "input", "br", "path", "circle", "rect", "hr", "img", "link"}


class Reader(HTMLParser):
    """The elements of a page: tag, attributes, and the text within."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, {name: value or "" for name, value in attrs}, list[str]())
        self.found.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, _, texts in self._open:
            texts.append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str], str]]:
        return [(attributes, "".join(texts)) for found, attributes, texts in self.found if found == tag]


@pytest.fixture(scope="module")
def shown(composed: Document) -> str:
    with figures.settings():
        return page(composed, [chart(plot.figure) for plot in composed.plots])


@pytest.fixture(scope="module")
def read(shown: str) -> Reader:
    return Reader(shown)


def test_every_cell_is_that_of_its_table(composed: Document, read: Reader) -> None:
    expected = [cell.text + cell.mark for table in composed.tables for row in table.rows for cell in row]
    assert [text for attributes, text in read.all("td") if "colspan" not in attributes] == expected
    assert [text for _, text in read.all("button")] == [title for table in composed.tables for title in table.header]


def numbers(frame: pd.DataFrame, about: Facets) -> NDArray[np.float64]:
    """The numbers of a CSV file on one method and code length, as they are and in the units that tables have."""
    read = pd.read_csv(io.StringIO(to_csv(frame)))
    for kind in about.keys() & {*read.columns}:
        read = read[read[kind] == (int(about[kind]) if kind == "bits" else about[kind])]
    found = read.select_dtypes("number").to_numpy(dtype=float).ravel()
    words = read.select_dtypes(exclude="number").fillna("").astype(str).to_numpy().ravel()
    found = np.concatenate([found[np.isfinite(found)], [float(text) for text in words if re.fullmatch(NUMBER, text)]])
    return np.concatenate([found, found / 1e3, found / 1e6, found / 1e9, 100 * found, 1000 / found[found != 0]])


NUMBER = r"[0-9]+(?:\.[0-9]+)?"


def test_every_number_of_the_page_is_in_a_csv_file(composed: Document, read: Reader) -> None:
    """Rounded as it is shown; of the texts of cells, since names and reasons hold numbers, too, only numbers."""
    shown = iter(text for attributes, text in read.all("td") if "colspan" not in attributes)
    compared = 0
    for table in composed.tables:
        for row, about in zip(table.rows, table.rows_about, strict=True):
            known = numbers(table.frame, about)
            for cell, title in zip(row, table.header, strict=True):
                text = next(shown).removesuffix(cell.mark).replace(",", "").replace(" too noisy", "")
                if title in table.words or title in (table.header[0], "bits"):
                    continue
                for part in re.findall(NUMBER, text):
                    step = 0.5 * 10 ** -len(part.partition(".")[2])
                    assert np.abs(known - float(part)).min(initial=1) <= step * 1.0001, (table.name, about, title, text)
                    compared += 1
    assert compared > 1000


def test_every_point_has_the_value_that_the_csv_has(composed: Document) -> None:
    compared = 0
    for plot in composed.plots:
        if not plot.name.endswith("map-at-k"):
            continue
        drawn = Reader(chart(plot.figure))
        said = [attributes["aria-label"] for attributes, _ in drawn.all("use")
                if attributes["class"].startswith("point")]  # fmt: skip
        bound = plot.frame["bound"]
        expected = [
            f"{row.method}, {row.bits} bits: retrieved videos k {row.k:g}, mAP@k {row.map:.4g}"
            for row in plot.frame[~bound].itertuples()
        ]
        assert sorted(said) == sorted(" ".join(line.split()) for line in expected)
        ends = plot.frame[bound].groupby("bits")["map"].agg(["min", "max"])
        named = [text for attributes, text in drawn.all("text") if "tick" in attributes["class"] and "oracle" in text]
        assert named == [f"↑ oracle {low:.2f}–{high:.2f}" for low, high in ends.itertuples(index=False)]
        compared += len(said)
    assert compared > 50


def test_code_lengths_differ_in_curves_of_the_loss(composed: Document) -> None:
    (plot,) = (plot for plot in composed.plots if plot.name.endswith("training-loss"))
    drawn = Reader(chart(plot.figure))
    assert [text for _, text in drawn.all("li")] == ["16 bits", "32 bits", "64 bits"]
    lines = [attributes.get("stroke-dasharray") for attributes, _ in drawn.all("path") if attributes["class"] == "line"]
    keys, curves = lines[-3:], lines[:-3]
    assert len(set(keys)) == 3
    assert curves == keys * 3


def test_nothing_is_loaded_and_nothing_but_its_own_script_runs(shown: str, read: Reader) -> None:
    policy = next(attributes["content"] for attributes, _ in read.all("meta") if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        ((_, source),) = read.all(tag)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
        assert not re.search(r"url\(|@import|eval\(|https?:", source)
    for tag, attributes, _ in read.found:
        assert not any(name.startswith("on") or name in ("style", "src") for name in attributes), tag
        target = attributes.get("href", "#")
        assert target.startswith(("#", "tables/", "figures/", "https://")), target
        assert tag not in ("img", "link", "iframe", "object", "embed", "base")


def test_links_within_the_page_lead_somewhere(read: Reader) -> None:
    names = {attributes["id"] for _, attributes, _ in read.found if "id" in attributes}
    targets = {attributes["href"][1:] for attributes, _ in read.all("a") if attributes["href"].startswith("#")}
    assert targets
    assert targets <= names


def test_equal_documents_give_equal_bytes(composed: Document, shown: str) -> None:
    with figures.settings():
        assert page(composed, [chart(plot.figure) for plot in composed.plots]) == shown


def test_a_page_stays_small(shown: str) -> None:
    """One of ten methods at three code lengths on two datasets has 900 KB where this one has 219."""
    assert len(shown.encode()) < 230_000


def test_a_smooth_curve_takes_the_bytes_of_its_bends() -> None:
    x = np.linspace(1, 10, 1000)
    with figures.settings():
        figure = Figure()
        axes = figure.subplots()
        axes.plot(x, 1 / x, color="#0072B2")
        axes.set(xlim=(0, 10), ylim=(0, 1))
        (path,) = (
            attributes["d"] for attributes, _ in Reader(chart(figure)).all("path") if attributes["class"] == "line"
        )
    places = np.array([place.split() for place in path[1:].split("L")], dtype=float)
    assert len(places) < 60
    # The panel spans 276 units for x from 0 to 10, and 174 for y, downwards from 1 to 0.
    curve = np.interp(50 + 27.6 * x, *places.T)
    assert np.abs(curve - (26 + 174 * (1 - 1 / x))).max() < 1


def test_of_a_long_line_some_points_can_be_asked_evenly_along_it() -> None:
    x = np.geomspace(0.001, 1, 200)  # the first half of them lies beyond the panel
    with figures.settings():
        figure = Figure()
        axes = figure.subplots()
        axes.plot(x, x, marker="o", label="method")
        axes.set(xlim=(x[100], 1), ylim=(0, 1), xscale="log", xlabel="recall")
        points = [attributes for attributes, _ in Reader(chart(figure)).all("use") if "point" in attributes["class"]]
    places = np.array([[attributes["x"], attributes["y"]] for attributes in points], dtype=float)
    assert len(places) == 5
    steps = np.hypot(*np.diff(places, axis=0).T)
    assert steps.max() < 1.2 * steps.min()
    for attributes, (left, _) in zip(points, places, strict=True):
        recall = float(attributes["aria-label"].partition("recall ")[2].partition(",")[0])
        # The axis spans 276 units from 50 on.
        assert left == pytest.approx(50 + 276 * np.log(recall / x[100]) / np.log(1 / x[100]), abs=0.5)


def test_words_on_an_axis_have_room_in_the_panel() -> None:
    with figures.settings():
        figure = Figure()
        figure.subplots().barh(["channel_branches"], [1])
        (panel,) = (
            attributes["viewbox"] for attributes, _ in Reader(chart(figure)).all("svg") if "viewbox" in attributes
        )
    left, _, width, _ = map(float, panel.split())
    assert left + width == 340
    assert 50 - 5 - left > 5 * len("channel_branches")


def one(text: str) -> Reader:
    """A page whose only table and chart are called `text`."""
    document = Document()
    columns = [
        Column("method", lambda row: row["method"]),
        Column(text, lambda _: Cell("1", mark=text), group=text, about={"metric": text}),
    ]
    rows: list[Row] = [{"method": text}, {"method": "other"}, {"ceiling": 1, "method": Cell(text)}]
    with document.about(dataset=text), document.folded(text):
        document.add_table(Table.of(columns, rows, name="t", caption=text, notes=[text]))
        document.add_plot(Plot("p", text, Figure, pd.DataFrame(), banner=text))
    with figures.settings():
        figure = Figure()
        axes = figure.subplots()
        axes.plot([0, 1], [1, 2], marker="o", label=f"method {drawable(text, 88)}")
        axes.set_title(text)
        axes.set_xlabel(text)
        axes.set_label(text)
        axes.text(0, 0, drawable(text, 40))
        return Reader(page(document, [chart(figure)]))


HARMLESS = [(tag, sorted(attributes)) for tag, attributes, _ in one("name").found]


@given(
    st.text(min_size=1, max_size=30)
    | st.sampled_from(["<script>alert(1)</script>", '" onload="x', "</style><b>", "{{ 7 * 7 }}", "]]>", "x" * 300])
)
@settings(max_examples=25, deadline=None)
def test_names_are_text_wherever_they_stand(text: str) -> None:
    found = one(text)
    assert [(tag, sorted(attributes)) for tag, attributes, _ in found.found] == HARMLESS
    cells = [shown for attributes, shown in found.all("td") if "colspan" not in attributes]
    assert cells[0].split() == text.split()
