"""Which runs each artefact plans."""

import pytest

from bench.errors import InputError
from bench.paper.artefacts import BACKBONES, LOSSES, PlannedNeed, check_artefacts, distinct, needs, plan_need
from bench.published import paper_costs, paper_scores
from bench.registry import Registry

WEIGHTS = ("cluster_weight", "similarity_weight", "quadruplet_weight", "quantisation_weight")


def planned(registry: Registry, name: str, seeds: tuple[int, ...] = (0,)) -> list[PlannedNeed]:
    return [plan_need(need, "toy", registry, seeds) for need in needs(name, registry)]


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


def test_names() -> None:
    assert check_artefacts(["figures", "table1", "table1"]) == ["table1", "figures"]
    with pytest.raises(InputError, match="unknown artefact 'tabel1': did you mean table"):
        check_artefacts(["tabel1"])
    with pytest.raises(InputError, match="known: table1, table2, table3, figures"):
        check_artefacts([])
