"""What is imported before the first run, and when that begins."""

import os
from collections.abc import Sequence

import pytest

from bench.cli import main
from bench.registry import load_registry
from bench.running import forking

BEGIN = forking.import_early
"""As it is where no test replaces it."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[str], int | None]]:
    """The modules and the number of threads of every process that was asked for, on a machine of two cores."""
    found: list[tuple[Sequence[str], int | None]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    monkeypatch.setattr(forking, "fork_server_context", lambda *asked: found.append(asked))
    monkeypatch.setattr(forking, "import_early", BEGIN)
    return found


def test_runs_find_every_built_in_method_and_dataset_imported(
    started: list[tuple[Sequence[str], int | None]],
) -> None:
    forking.run_context(3)
    ((modules, threads),) = started
    homes = {plugin.__module__ for plugin in load_registry().origins if plugin.__module__.startswith("bench.")}
    assert homes
    assert all(any(f"{home}.".startswith(f"{module}.") for module in modules) for home in homes)
    assert threads == 3


@pytest.mark.parametrize(
    ("options", "begun"),
    [
        ("--bits 8", False),
        ("--bits 8,16", True),
        ("", True),
        ("--bits 8 --seeds 0,1", True),
        ("--bits 8 --isolate", True),
        ("--bits 8,16 --jobs 1", False),
        ("--bits 8,16 --dry-run", False),
    ],
)
def test_imports_begin_where_runs_will_need_a_process(
    options: str, begun: bool, started: list[tuple[Sequence[str], int | None]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--methods", "unknown", *options.split()]) == 2
    assert "unknown method" in capsys.readouterr().err
    assert bool(started) == begun


def test_without_another_core_or_process_nothing_begins(
    started: list[tuple[Sequence[str], int | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    BEGIN(1)
    assert not started
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    monkeypatch.setattr(forking, "fork_server_context", refuse)
    BEGIN(1)
