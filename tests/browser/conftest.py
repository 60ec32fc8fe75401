"""Chromium through Playwright, for pages from files; every page that is opened is watched."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
Open = Callable[..., Any]
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Skips where Playwright or Chromium is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no browser: Playwright is not installed")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no browser: Chromium is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Opens a file as a page; none may ask for anything else, violate its policy, or complain."""
    complaints: list[str] = []
    pages: list[tuple[Any, list[str]]] = []

    def open_page(file: Path, **settings: Any) -> Any:
        page = browser.new_page(**settings)
        asked: list[str] = []
        pages.append((page, asked))
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.add_init_script(WATCH)
        page.goto(file.as_uri())
        return page

    yield open_page
    for page, asked in pages:
        assert asked == [page.url.partition("#")[0]]
        assert page.evaluate("violations") == []
        page.close()
    assert complaints == []
