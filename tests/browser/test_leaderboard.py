"""The pages of a leaderboard in a browser: none asks for anything or violates its policy, and all fit a phone."""

from pathlib import Path

import pytest

from bench.cli import main
from tests.browser.conftest import Open
from tests.report.conftest import undrawn

COMMUNITY = Path(__file__).parents[2] / "results/community/vhbench"


def test_pages_of_a_leaderboard(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.report.folder.drawn", undrawn)  # charts are looked at in the report's page
    assert main(["site", str(COMMUNITY), "--out", str(tmp_path)]) == 0
    for file in sorted(tmp_path.glob("*.html")):
        page = opened(file, viewport={"width": 420, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 420
    page = opened(tmp_path / "dataset-moving-digits.html")
    table = page.locator("table").first
    assert table.get_by_role("link", name="ITQ").get_attribute("href") == "method-itq.html"
    methods = table.locator("tbody td:first-child")
    assert methods.all_text_contents() == ["ITQ", "LSH"]
    table.get_by_role("button", name="mAP@20").click()
    table.get_by_role("button", name="mAP@20").click()
    assert methods.all_text_contents() == ["LSH", "ITQ"]
