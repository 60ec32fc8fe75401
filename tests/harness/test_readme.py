"""The README's examples are run as they stand there."""

import re
from pathlib import Path

import pytest

from bench.cli import main

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def example_method() -> str:
    found = re.search(r"<!-- test: method -->\n```python\n(.*?)```", README, flags=re.DOTALL)
    assert found
    return found.group(1)


def test_the_example_method_is_short_and_runs(
    tmp_path: Path, feature_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = example_method()
    assert len(text.splitlines()) <= 60
    Path("mine.py").write_text(text, encoding="utf-8")
    arguments = ["--plugin", "mine.py", "--methods", "mine,itq,lsh", "--datasets", str(feature_folder), "--bits", "8"]
    assert main(["run", *arguments, "--set", "mine.step=2"]) == 0
    assert "Mine" in capsys.readouterr().out


def test_the_python_example_names_what_there_is() -> None:
    import bench

    for name in set(re.findall(r"\bbench\.(\w+)\(", README)):
        assert hasattr(bench, name)


def test_the_commands_are_the_ones_of_ci() -> None:
    (tests,) = (line for line in README.splitlines() if line.endswith(".venv/bin/tox") and "venv .venv" in line)
    ci = (Path(__file__).parents[2] / ".ci/run").read_text(encoding="utf-8")
    assert ci.splitlines()[-1] == tests


def test_pictures_and_pages_that_are_linked_exist() -> None:
    root = Path(__file__).parents[2]
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (root / target).is_file(), target
