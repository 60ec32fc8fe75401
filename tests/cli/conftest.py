"""The command line, called in an empty folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli import main
from bench.report.drawing import Drawn

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line in an empty folder: exit status, standard output, standard error.

    Reports have empty figures: drawing them takes seconds.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.report.folder.drawn", lambda plots: [Drawn("", b"", b"", "")] * len(plots))

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return status, output.out, output.err

    return run
