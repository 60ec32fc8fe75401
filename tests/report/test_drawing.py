"""Figures do not depend on how many processes draw them."""

import os

import pytest

from bench.report.document import Document
from bench.report.drawing import Drawn, drawn
from bench.report.figures import Plot, settings


@pytest.fixture(scope="module")
def plots(composed: Document) -> list[Plot]:
    return composed.plots[:2]


@pytest.fixture(scope="module")
def alone(plots: list[Plot]) -> list[Drawn]:
    """The plots, drawn by this process."""
    with pytest.MonkeyPatch.context() as patch, settings():
        patch.setattr(os, "sched_getaffinity", lambda process: {0})
        return drawn(plots)


def test_several_processes_draw_what_one_draws(
    plots: list[Plot], alone: list[Drawn], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    with settings():
        assert drawn(plots) == alone
    assert len({one.svg for one in alone}) == len(plots)
    for svg, png, pdf, _ in alone:
        assert svg.lstrip().startswith("<?xml")
        assert " bits</text>" in svg  # text as text
        assert png.startswith(b"\x89PNG")
        assert pdf.startswith(b"%PDF-")
        assert b"/Type3" not in pdf
