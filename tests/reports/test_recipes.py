"""The recipe of docs/contributing/report.md, given as a plug-in beside the built-in one."""

from pathlib import Path

import pytest

from bench.base.errors import InputError
from bench.cli import main
from bench.cli.reproduction import distinct, prepare
from bench.registry import DATASETS, METHODS, Broken, Registry, load_registry
from bench.report.recipe import RECIPES, choose
from bench.running.runner import Runner

from .conftest import fill

PAGE = (Path(__file__).parents[2] / "docs/contributing/report.md").read_text(encoding="utf-8")
RECIPE = PAGE.split("<!-- file: baselines.py -->\n```python\n")[1].split("```")[0]


@pytest.fixture
def both(tmp_path: Path, registry: Registry) -> Registry:
    (tmp_path / "mine.py").write_text(RECIPE)
    found = load_registry([tmp_path / "mine.py"], kinds=(METHODS, DATASETS, RECIPES))
    found.plugins[DATASETS] = registry.datasets
    return found


def test_the_built_in_recipe_is_looked_for_only_when_asked(both: Registry) -> None:
    assert set(both.plugins[RECIPES]) == {"baselines", "conmh", "mcmsh", "panels", "s5vh"}
    assert not both.broken
    assert set(load_registry().plugins) == {METHODS, DATASETS}


def test_names_are_looked_up_over_all_recipes(both: Registry) -> None:
    found = [(recipe.name, names) for recipe, names in choose(["long-codes", "mcmsh:table1", "table2"], both)]
    assert found == [("baselines", ["long-codes"]), ("mcmsh", ["table1", "table2"])]
    with pytest.raises(InputError, match="'table1': baselines and mcmsh have one; name it as baselines:table1"):
        choose(["table1"], both)


def test_another_paper_is_made_like_the_first(both: Registry, runner: Runner, tmp_path: Path) -> None:
    two = prepare(["long-codes", "mcmsh:table3"], ["toy"], registry=both, report_folder=tmp_path / "papers", seeds=[0])
    assert [one.report_folder for one in two] == [tmp_path / "papers/baselines", tmp_path / "papers/mcmsh"]
    (one,) = prepare(["baselines:table1"], ["toy"], registry=both, report_folder=tmp_path / "paper", seeds=[0, 1])
    assert one.report_folder == tmp_path / "paper"
    fill(runner.store, distinct(one.planned), lambda run, k: 0.2 + (run.spec.method == "itq") / 10 + run.spec.seed / 50)
    text = one.make(runner).path.read_text(encoding="utf-8")
    assert "# Learned and random directions\n\nMeasured on **TOY** (`toy`): " in text
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert ["ITQ", "0.310"] in table
    assert ["random", "0.210"] in table
    assert [row[:5] for row in table if row[0] == "lsh"] == [
        ["lsh", "16", seed, "table1: random", "done"] for seed in "01"
    ]


def test_a_recipe_that_lacks_something_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(RECIPE.replace("def compose", "def write"))
    assert main(["reproduce", "long-codes", "--plugin", str(tmp_path / "mine.py"), "--threads", "1"]) == 2
    assert "BaselinePaper does not define compose" in capsys.readouterr().err


def test_an_unknown_artefact_may_be_of_a_broken_recipe() -> None:
    registry = Registry({RECIPES: {}}, broken=[Broken("theirs.paper", "RuntimeError: no luck")])
    with pytest.raises(InputError, match=r"artefact 'long-codes': .*theirs\.paper is broken: RuntimeError: no luck"):
        choose(["long-codes"], registry)


def test_other_verbs_want_a_method_or_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RECIPE)
    with pytest.raises(InputError, match="defines no method and no dataset"):
        load_registry([tmp_path / "mine.py"])
