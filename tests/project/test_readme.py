"""What README and CONTRIBUTING promise beside their examples, which tests/project runs."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_method_is_short() -> None:
    page = (ROOT / "docs/contributing/method.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- file: mine.py -->\n```python\n(.*?)```", page, flags=re.DOTALL)
    assert found
    assert len(found.group(1).splitlines()) <= 60


def test_what_ties_alone_do_is_what_the_example_report_says() -> None:
    table = pd.read_csv(ROOT / "reports/example/tables/moving-digits-paper-16-bits.csv")
    here = table[(table["k"] == 20) & ~table["bound"]].assign(moved=table["map_best"] - table["map_worst"])
    widest = here.nlargest(1, "moved").iloc[0]
    assert (
        f"moves mAP@20 by {here['moved'].min():.2f} to {here['moved'].max():.2f} at 16 bits**, for each of {len(here)} "
        f"methods: the same codes of {widest['method']} score anything from {widest['map_worst']:.2f} to "
        f"{widest['map_best']:.2f}"
    ) in " ".join(README.split())


def test_what_one_seed_says_is_what_the_example_report_says() -> None:
    runs = pd.read_csv(ROOT / "reports/example/tables/runs.csv")
    table = pd.read_csv(ROOT / "reports/example/tables/moving-digits-paper-32-bits.csv")
    here = table[table["k"] == 20].set_index("method")
    first = runs[(runs["bits"] == 32) & (runs["seed"] == 0)].set_index("method")["value"]
    assert here.loc["AutoSSVH", "best"]
    assert here.loc["ConMH", "not_significantly_worse"]
    conmh, autossvh = float(here["map"]["ConMH"]), float(here["map"]["AutoSSVH"])
    assert (
        f"seed 0 alone puts ConMH ahead of AutoSSVH, {first['ConMH']:.3f} to {first['AutoSSVH']:.3f}, and a test over "
        f"queries agrees; over three seeds AutoSSVH is ahead, {autossvh:.3f} to {conmh:.3f}"
    ) in " ".join(README.split())


def test_the_commands_are_the_ones_of_ci() -> None:
    (tests,) = (line for line in README.splitlines() if line.endswith(".venv/bin/tox") and "venv .venv" in line)
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert ci.splitlines()[-1] == tests


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "reports/README.md", "datasets/README.md"])
def test_pictures_and_pages_that_are_linked_exist(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).is_file(), target
