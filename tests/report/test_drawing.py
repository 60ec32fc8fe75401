"""Figures do not depend on how many processes draw them."""

import errno
import multiprocessing
import os
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from bench.report.document import Document
from bench.report.drawing import Drawn, drawn
from bench.report.figures import Plot, settings
from tests.conftest import survived


@pytest.fixture(scope="module")
def plots(composed: Document) -> list[Plot]:
    return composed.plots[:2]


@pytest.fixture(scope="module")
def alone(plots: list[Plot]) -> list[Drawn]:
    """The plots, drawn by this process."""
    with pytest.MonkeyPatch.context() as patch, settings():
        cores(patch, 1)
        return drawn(plots)


def cores(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(number)))


def test_several_processes_draw_what_one_draws(
    plots: list[Plot], alone: list[Drawn], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    cores(monkeypatch, 2)
    with settings():
        assert drawn(plots) == alone
    assert len({one.svg for one in alone}) == len(plots)
    for svg, png, pdf, _ in alone:
        assert svg.lstrip().startswith("<?xml")
        assert " bits</text>" in svg  # text as text
        assert png.startswith(b"\x89PNG")
        assert pdf.startswith(b"%PDF-")
        assert b"/Type3" not in pdf


@pytest.mark.parametrize("number", [1, 2])
def test_a_figure_that_cannot_be_drawn_is_an_error(
    number: int, plots: list[Plot], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    class Broken(Figure):
        def savefig(self, *_: object, **__: object) -> None:
            raise ValueError("cannot be drawn")

    cores(monkeypatch, number)
    with settings(), pytest.raises(ValueError, match="cannot be drawn"):
        drawn([plots[0], replace(plots[1], make=Broken)])


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("concurrent.futures.process.ProcessPoolExecutor.__init__", OSError(errno.ENOSYS, "Function not implemented")),
        ("concurrent.futures.process.ProcessPoolExecutor.__init__", ImportError("no sem_open implementation")),
        ("os.fork", BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")),
    ],
)
def test_without_processes_of_its_own_it_draws_the_same(
    where: str, error: Exception, plots: list[Plot], alone: list[Drawn], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No semaphores, as with a /dev/shm that cannot be written, or a limit on processes that is reached in between."""
    calls, fork = 0, os.fork

    def refuse(*arguments: object, **named: object) -> int:
        nonlocal calls
        calls += 1
        if where == "os.fork" and calls == 1:
            return fork()
        raise error

    cores(monkeypatch, 2)
    monkeypatch.setattr(where, refuse)
    with settings():
        assert drawn(plots) == alone
    assert calls > (where == "os.fork")
    assert not [child for child in multiprocessing.active_children() if child.is_alive()]
    survived("systems without processes or semaphores")


def test_nothing_to_draw() -> None:
    assert drawn([]) == []
