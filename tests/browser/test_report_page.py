"""The page of a report in a browser: what a reader clicks, hovers, types and prints."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.report.chart import chart
from bench.report.compose import compose
from bench.report.document import Document
from bench.report.figures import settings
from bench.report.page import page as page_of
from bench.report.runs import name_runs
from bench.report.tables import Cell, Table
from bench.store.store import Store
from tests.browser.conftest import Open
from tests.report.conftest import Builder

HOSTILE = "<script>window.hit = 1</script>"
QUOTES = "\"'><img src=x onerror=window.hit=1> & {{ 7 * 7 }}"
LONG = "x" * 300


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of three methods with names to beware of, and a bound, at two code lengths."""
    builder = Builder(Store(tmp_path_factory.mktemp("store")))
    for bits in (16, 128):
        for name, title, level in (("alpha", HOSTILE, 0.5), ("beta", "Beta", 0.3), ("gamma", LONG, 0.4)):
            builder.add(name, bits, level=level + bits / 1000, title=title, dataset_title=QUOTES)
        builder.add("oracle", bits, level=0.9, uses_labels=True, dataset_title=QUOTES)
    builder.name_classes([HOSTILE] * 10)
    with settings():
        document = compose(name_runs(builder.store.runs()))
        return written(page_of(document, [chart(plot.figure) for plot in document.plots]), builder.store.root)


def written(text: str, folder: Path) -> Path:
    (folder / "report.html").write_text(text, encoding="utf-8")
    return folder / "report.html"


OVERVIEW = 'figure:has(a[href$="-protocols.csv"]) table'
"""The table of all methods and code lengths in rows."""


def column(page: Any, number: int, table: str = OVERVIEW) -> list[str]:
    """The texts of a column of a table, of the rows that are shown."""
    texts: list[str] = page.locator(table).evaluate(
        "(table, number) => [...table.tBodies[0].rows].filter((row) => !row.hidden)"
        ".map((row) => row.cells[number].textContent)",
        number,
    )
    return texts


def filtering(page: Any) -> Any:
    """The page with the form that leaves things out unfolded."""
    page.locator(".filters summary").click()
    return page


def test_headings_sort_by_pointer_and_keyboard(report: Path, opened: Open) -> None:
    page = opened(report)
    page.get_by_text("with confidence intervals").click()
    bits = page.locator(f"{OVERVIEW} th").filter(has_text="bits")
    bits.get_by_role("button").click()
    assert bits.get_attribute("aria-sort") == "descending"
    # As numbers: 128 is more than 16.
    assert column(page, 1) == ["128"] * 4 + ["16"] * 4
    page.keyboard.press("Enter")
    assert bits.get_attribute("aria-sort") == "ascending"
    assert column(page, 1) == ["16"] * 4 + ["128"] * 4
    score = page.locator(f"{OVERVIEW} th").filter(has_text="mAP@20").first
    score.get_by_role("button").click()
    assert bits.get_attribute("aria-sort") is None
    scores = [float(text.rstrip("†")) for text in column(page, 2)]
    assert scores == sorted(scores, reverse=True)


def test_methods_can_be_left_out_of_tables_and_charts(report: Path, opened: Open) -> None:
    page = filtering(opened(report))
    box = page.get_by_role("checkbox", name="Beta")
    lines = page.locator('.chart g[data-method="Beta"]')
    assert "Beta" in column(page, 0)
    assert lines.first.is_visible()
    box.uncheck()
    assert "Beta" not in column(page, 0)
    assert len(column(page, 0)) == 6
    assert not any(lines.nth(number).is_visible() for number in range(lines.count()))
    box.check()
    assert len(column(page, 0)) == 8
    assert lines.first.is_visible()


def test_code_lengths_and_metrics_can_be_left_out(report: Path, opened: Open) -> None:
    page = filtering(opened(report))
    combined = page.locator("table").first
    headings = combined.locator("thead tr:last-child th")
    page.get_by_role("checkbox", name="128", exact=True).uncheck()
    assert set(column(page, 1)) == {"16"}
    shown = [heading.inner_text() for heading in headings.all() if heading.is_visible()]
    assert shown == ["method", "16 bits", "mean rank"]
    assert combined.locator("th.group").get_attribute("colspan") == "1"
    # Every row is as wide as the headings.
    assert combined.evaluate("table => [...table.rows].every(row => [...row.cells].filter(c => !c.hidden)"
                             ".reduce((sum, cell) => sum + cell.colSpan, 0) === 3)")  # fmt: skip
    panels = page.locator(".panel")
    assert {panel.get_attribute("data-bits") for panel in panels.all() if panel.is_visible()} <= {"16", None}
    page.get_by_role("checkbox", name="128", exact=True).check()
    page.get_by_role("checkbox", name="paper").uncheck()
    assert combined.is_hidden()
    assert page.locator("table").nth(1).is_visible()
    ndcg = page.locator("th").filter(has_text="NDCG@20").first
    page.get_by_role("checkbox", name="NDCG@20").uncheck()
    assert ndcg.get_attribute("hidden") is not None


def test_a_point_leads_to_its_runs(report: Path, opened: Open) -> None:
    page = opened(report)
    page.locator('.chart .panel[data-bits="128"] g[data-method="Beta"] .point').first.press("Enter")
    (picked,) = page.locator("#table-runs tr.picked").all()
    assert picked.locator("td").all_inner_texts()[:3] == ["Beta", "128", "0"]
    assert "toy/beta/128-" in picked.inner_text()
    assert picked.evaluate("row => row === document.activeElement")
    page.locator('.chart .panel[data-bits="16"] g[data-method="Beta"] .point').first.click()
    assert page.locator("#table-runs tr.picked td").all_inner_texts()[1] == "16"


PLACES = """(point) => {
  const line = point.parentElement.querySelector(".line"), box = point.getBoundingClientRect();
  const begin = line.getPointAtLength(0).matrixTransform(line.getScreenCTM());
  return [[begin.x, begin.y], [(box.left + box.right) / 2, (box.top + box.bottom) / 2]];
}"""
"""Where a curve begins on the screen, and the centre of its first point."""


def test_points_tell_their_values_to_pointer_and_keyboard(report: Path, opened: Open) -> None:
    page = opened(report)
    tip, points = page.locator("#tip"), page.locator('.chart g[data-method="Beta"] .point')
    assert tip.is_hidden()
    begin, centre = points.first.evaluate(PLACES)
    assert centre == pytest.approx(begin, abs=1)
    points.first.hover()
    assert tip.text_content() == points.first.get_attribute("aria-label")
    page.mouse.move(0, 0)
    assert tip.is_hidden()
    points.first.focus()
    page.keyboard.press("Tab")
    said = points.nth(1).get_attribute("aria-label")
    assert said.startswith("Beta, 16 bits: retrieved videos k 20, mAP@k 0.")
    assert tip.text_content() == said
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def contrast(one: str, other: str) -> float:
    """The ratio of luminances of two colours `rgb(r, g, b)`, as WCAG 2 defines it: 1 to 21."""

    def luminance(colour: str) -> float:
        parts = np.array([float(part) for part in colour[4:-1].split(",")]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted([luminance(one), luminance(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_light_and_dark_screens_can_read_everything(report: Path, opened: Open) -> None:
    page = opened(report)
    papers = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        papers[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        for place in ("p", "td", "figcaption", "a", "summary", ".filters legend"):
            ink = page.locator(place).first.evaluate("(element) => getComputedStyle(element).color")
            assert contrast(ink, papers[scheme]) >= 4.5, (scheme, place)
        # Lines and marks: 3 suffices.
        for colour in page.evaluate(
            "[...document.querySelectorAll('.chart .point.f')].map((point) => getComputedStyle(point).fill)"
        ):
            assert contrast(colour, papers[scheme]) >= 3, (scheme, colour)
    assert papers["light"] == "rgb(255, 255, 255)"
    assert contrast(*papers.values()) > 10


def test_a_phone_scrolls_tables_and_not_the_page(report: Path, opened: Open) -> None:
    page = opened(report, viewport={"width": 360, "height": 640})
    page.evaluate("document.querySelectorAll('details').forEach((part) => part.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    # Whose row it is stays in sight and leaves room, even if the name has 300 letters.
    row = page.locator("table").first.locator("tr", has_text=LONG)
    row.locator("td").last.evaluate("(cell) => cell.closest('.scroll').scrollTo(1000, 0)")
    box = row.locator("td").first.bounding_box()
    assert 0 < box["x"] < 20
    assert box["width"] < 180


def test_paper_is_white_shows_no_controls_and_says_what_is_folded(report: Path, opened: Open) -> None:
    page = opened(report, color_scheme="dark", viewport={"width": 700, "height": 1000})
    page.emulate_media(media="print")
    assert page.locator(".filters").is_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    said = "getComputedStyle(document.querySelector('summary'), '::after').content"
    assert "folded" in page.evaluate(said)
    page.evaluate("document.querySelectorAll('details').forEach((part) => part.open = true)")
    assert page.evaluate(said) == "none"
    # No table is cut off, not even those of 14 columns.
    assert page.evaluate("document.documentElement.scrollWidth") == 700
    assert page.pdf().startswith(b"%PDF-")


def test_hostile_names_are_shown_and_do_nothing(report: Path, opened: Open) -> None:
    page = filtering(opened(report))
    assert {HOSTILE, LONG} <= set(column(page, 0))
    assert QUOTES in page.locator("h2").all_text_contents()
    assert page.locator("th").filter(has_text=f"(class {HOSTILE})").count() == 3
    assert page.evaluate("window.hit") is None
    page.get_by_role("checkbox", name=HOSTILE).uncheck()
    assert HOSTILE not in column(page, 0)


def test_a_thousand_rows_sort(tmp_path: Path, opened: Open) -> None:
    values = np.random.default_rng(0).permutation(1000)
    rows = [[Cell(f"m{value}"), Cell("0.5"), Cell(str(value))] for value in values]
    table = Table("runs", "Runs.", ["method", "bits", "mAP@20"], rows, pd.DataFrame())
    document = Document(["# Runs"])
    document.add_table(table)
    page = opened(written(page_of(document, []), tmp_path))
    page.get_by_role("button", name="mAP@20").click()
    assert column(page, 2, "table") == [str(value) for value in range(1000)][::-1]
