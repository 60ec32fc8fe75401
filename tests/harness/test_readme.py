"""What README and CONTRIBUTING promise beside their examples, which tests/documentation runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_method_is_short() -> None:
    found = re.search(r"<!-- file: mine.py -->\n```python\n(.*?)```", README, flags=re.DOTALL)
    assert found
    assert len(found.group(1).splitlines()) <= 60


def test_the_commands_are_the_ones_of_ci() -> None:
    (tests,) = (line for line in README.splitlines() if line.endswith(".venv/bin/tox") and "venv .venv" in line)
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert ci.splitlines()[-1] == tests


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "reports/README.md", "datasets/README.md"])
def test_pictures_and_pages_that_are_linked_exist(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).is_file(), target
