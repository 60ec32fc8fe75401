"""Which runs each artefact plans."""

import re
from pathlib import Path
from typing import Any

import pytest
from bench.reports.mcmsh import McmshPaper
from bench.reports.mcmsh.rows import BACKBONES, LOSSES

from bench.base.errors import InputError
from bench.cli import main
from bench.cli.reproduction import PlannedNeed, Prepared, distinct, plan_need, prepare
from bench.registry import Registry
from bench.report.published import paper_costs, paper_scores
from bench.report.recipe import choose
from bench.store.store import Store

from .conftest import fill

WEIGHTS = ("cluster_weight", "similarity_weight", "quadruplet_weight", "quantisation_weight")


def planned(registry: Registry, name: str, seeds: tuple[int, ...] = (0,)) -> list[PlannedNeed]:
    return [plan_need(need, ["toy"], registry, seeds) for need in McmshPaper().needs(name, registry)]


def test_rows_are_labelled_as_in_the_paper() -> None:
    for table, rows in ((1, BACKBONES), (2, LOSSES)):
        assert list(dict.fromkeys(cell.label for cell in paper_scores(table))) == [row.label for row in rows]
    assert set(paper_costs()) == {"BTH", "MCMSH"}


def test_table1(registry: Registry) -> None:
    runs = distinct(planned(registry, "table1"))
    methods = ["mlp-mixer", "mixer-lrd", "mixer-mrd", "mixer-srd", "mcmsh"]
    assert [(run.spec.method, run.spec.bits) for run in runs] == [(name, bits) for name in methods for bits in (32, 64)]
    branches = [run.spec.parameters["branches"] for run in runs[::2]]
    assert branches == [[], ["long"], ["middle"], ["short"], ["long", "middle", "short"]]


def test_table2(registry: Registry) -> None:
    runs = distinct(planned(registry, "table2"))
    assert {(run.spec.method, run.spec.bits) for run in runs} == {("mcmsh", 64)}
    assert [tuple(run.spec.parameters[name] for name in WEIGHTS) for run in runs] == [
        (1, 0, 0, 0.01),
        (0, 1, 0, 0.01),
        (0, 0, 1, 0.01),
        (0.8, 0.1, 0, 0.01),
        (0.8, 0, 0.01, 0.01),
        (0, 0.1, 0.01, 0.01),
        (0.8, 0.1, 0.01, 0.01),
    ]


def test_table3(registry: Registry) -> None:
    assert [(run.spec.method, run.spec.bits) for run in distinct(planned(registry, "table3"))] == [
        ("bth", 64),
        ("mcmsh", 64),
    ]


def test_figures(registry: Registry) -> None:
    panels, embedding, retrieval = planned(registry, "figures")
    assert {("bth", 16), ("bth", 64), ("mcmsh", 16), ("mcmsh", 32), ("mcmsh", 64)} <= set(panels.runs)
    assert not [method for method, _ in panels.runs if method in {"oracle", "random", "mlp-mixer"}]
    assert {run.spec.method for run in distinct([embedding])} == {"mlp-mixer", "mcmsh"}
    assert {run.spec.method for run in distinct([retrieval])} == {"bth", "mcmsh"}


def test_artefacts_share_runs(registry: Registry) -> None:
    everything = [need for name in ("table1", "table2", "table3") for need in planned(registry, name, (0, 1))]
    assert len(distinct(everything)) == 2 * (10 + 6 + 1)


def test_names(registry: Registry) -> None:
    ((recipe, artefacts),) = choose(["figures", "mcmsh:table1", "table1"], registry)
    assert (recipe.name, artefacts) == ("mcmsh", ["table1", "figures"])
    with pytest.raises(InputError, match="unknown artefact 'tabel1': did you mean table"):
        choose(["tabel1"], registry)
    with pytest.raises(InputError, match="unknown artefact 'bth:table1': did you mean table1"):
        choose(["bth:table1"], registry)
    with pytest.raises(InputError, match="known: conmh, table1, table2, table3, figures, panels, s5vh"):
        choose([], registry)


def prepared(registry: Registry, tmp_path: Path, *names: str, **options: Any) -> list[Prepared]:
    datasets = options.pop("datasets", ["toy"])
    return prepare(names, datasets, registry=registry, report_folder=tmp_path / "paper", **options)


def test_three_seeds_are_the_default(registry: Registry, tmp_path: Path) -> None:
    (one,) = prepared(registry, tmp_path, "table3")
    assert [run.spec.seed for run in distinct(one.planned)] == [0, 1, 2] * 2
    store = Store(tmp_path / "results")
    assert one.announcement(store) == (
        "TOY: 6 runs, 2 for each of 3 seeds; 6 not stored yet; to shorten it: --seeds 0 (shows no variation), "
        "--set bth.epochs=1, --methods"
    )
    fill(store, distinct(one.planned), lambda run, k: 0.5)
    assert one.announcement(store) == "TOY: 6 runs, 2 for each of 3 seeds; all stored"


def test_methods_and_parameters_are_chosen(registry: Registry, tmp_path: Path) -> None:
    (one,) = prepared(
        registry, tmp_path, "table1", "table2", seeds=[5], methods=["mcmsh"], parameters={"mcmsh": {"epochs": 7}}
    )
    runs = distinct(one.planned)
    assert {(run.spec.method, run.spec.seed, run.spec.parameters["epochs"]) for run in runs} == {("mcmsh", 5, 7)}
    # Table 1 has MCMSH at two code lengths, and Table 2 six rows beside it.
    assert len(runs) == 2 + 6


def test_figures_show_any_methods(registry: Registry, tmp_path: Path) -> None:
    (one,) = prepared(registry, tmp_path, "figures", seeds=[0], methods=["lsh", "bth"])
    assert {need.need.name: [row.method for row in need.need.rows] for need in one.planned} == {
        "panels": ["lsh", "bth"],
        "embedding": [],
        "retrieval": ["lsh", "bth"],
    }


def test_several_datasets_have_a_folder_each(registry: Registry, tmp_path: Path) -> None:
    both = prepared(registry, tmp_path, "table3", datasets=["toy", "toy-frames", "toy"])
    assert [one.report_folder for one in both] == [tmp_path / "paper" / "toy", tmp_path / "paper" / "toy-frames"]


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (["table1"], {"methods": ["bth"]}, "--methods bth: table1 has no row of these; it has mlp-mixer, mixer-lrd"),
        (["table3"], {"methods": ["bth", "itq"]}, "--methods itq: none of these artefacts shows it; they show bth"),
        (["figures"], {"methods": ["nothing"]}, "nothing"),
        (["table3"], {"parameters": {"itq": {"iterations": 1}}}, "--set itq: itq is not among the methods"),
        (["table2"], {"parameters": {"mcmsh": {"cluster_weight": 1}}}, "--set mcmsh.cluster_weight: table2 sets it"),
        (["table3"], {"datasets": ["toy", "nowhere"]}, "nowhere"),
        (["table3"], {"datasets": []}, "--datasets: none given"),
        (["table3"], {"seeds": []}, "seeds: none given"),
    ],
)
def test_mistakes_are_named_before_any_work(
    registry: Registry, tmp_path: Path, names: list[str], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        prepared(registry, tmp_path, *names, **options)


def test_the_command_line_takes_several_datasets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--datasets", "--dataset"):
        asked = ["reproduce", "table3", option, f"moving-digits,{tmp_path}/none", "--threads", "1"]
        asked += ["--set", "mcmsh.epochs=1", "--results", str(tmp_path / "r"), "--report", str(tmp_path / "p")]
        assert main(asked) == 2
        assert "none" in capsys.readouterr().err
