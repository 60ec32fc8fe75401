"""Figures do not depend on how many processes draw them."""

import os
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from bench.report.document import Document
from bench.report.drawing import drawn
from bench.report.plots import Plot, settings


@pytest.fixture
def plots(composed: Document) -> list[Plot]:
    return composed.plots[:3]


def cores(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(number)))


def test_several_processes_draw_what_one_draws(plots: list[Plot], monkeypatch: pytest.MonkeyPatch) -> None:
    cores(monkeypatch, 2)
    with settings():
        shared = list(drawn(plots))
    cores(monkeypatch, 1)
    with settings():
        alone = list(drawn(plots))
    assert shared == alone
    assert len({svg for svg, _ in alone}) == len(plots)
    for svg, png in alone:
        assert svg.lstrip().startswith("<?xml")
        assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize("number", [1, 2])
def test_a_figure_that_cannot_be_drawn_is_an_error(
    number: int, plots: list[Plot], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    class Broken(Figure):
        def savefig(self, *_: object, **__: object) -> None:
            raise ValueError("cannot be drawn")

    cores(monkeypatch, number)
    with settings(), pytest.raises(ValueError, match="cannot be drawn"):
        list(drawn([plots[0], replace(plots[1], make=Broken)]))


def test_nothing_to_draw() -> None:
    assert list(drawn([])) == []
