"""ConMH's and S5VH's comparisons, from synthetic records: every number is copied from a source or computed by hand."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from bench.reports import conmh, s5vh
from bench.reports.beside import real_sizes

from bench.base.errors import InputError
from bench.cli.reproduction import distinct, prepare
from bench.data.dataset import Dataset
from bench.registry import DATASETS, METHODS, Registry, load_registry
from bench.registry.published_only import published_only
from bench.report.listing import Selection, listing
from bench.report.published import published
from bench.report.recipe import RECIPES
from bench.running.plan import PlannedRun
from bench.running.runner import Runner

from .conftest import Level, fill, source_of

FEW = {"bth", "conmh", "s5vh"}
LEVELS = {"bth": 0.30, "conmh": 0.35, "s5vh": 0.34}


@pytest.fixture(scope="module")
def registry(tiny: Dataset) -> Registry:
    """Three methods; `fcvid` (searched by itself), `yfcc` and `toy`, and a stand-in of `activitynet`."""
    found = load_registry(kinds=(METHODS, DATASETS, RECIPES))
    stand_in = replace(tiny, summary=tiny.summary.model_copy(update={"stand_in": True}))
    for name in ("fcvid", "activitynet", "yfcc", "toy"):
        found.datasets.pop(name, None)
        found.add("tests", [source_of(stand_in if name == "activitynet" else tiny, name, name == "fcvid")])
    few = {name: method for name, method in found.methods.items() if name in FEW}
    return replace(found, plugins=found.plugins | {METHODS: few})


def level(run: PlannedRun, k: int) -> float:
    return LEVELS[run.spec.method] - k / 1000


def make(
    registry: Registry,
    runner: Runner,
    folder: Path,
    artefact: str,
    datasets: Sequence[str],
    *,
    methods: Sequence[str] = (),
    levels: Level = level,
) -> str:
    """`paper.md` from synthetic records of one seed, without its escapes."""
    (one,) = prepare([artefact], datasets, registry=registry, report_folder=folder, methods=methods, seeds=[0])
    fill(runner.store, distinct(one.planned), levels)
    return one.make(runner).path.read_text(encoding="utf-8").replace("\\", "")


def rows_of(text: str, dataset: str, bits: int) -> list[list[str]]:
    section = text.split(f"\n## {dataset}\n", 1)[1].split(f"### {bits} bits\n\n", 1)[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.split("\n\n")[0].splitlines()]


def test_rows_lengths_and_k() -> None:
    everything = load_registry(kinds=(METHODS, DATASETS, RECIPES))
    (need,) = everything.plugins[RECIPES]["conmh"]().needs("conmh", everything)
    assert [row.method for row in need.rows] == ["ssth", "ssvh", "bth", "mcmsh", "dkph", "conmh"]
    (need,) = everything.plugins[RECIPES]["s5vh"]().needs("s5vh", everything)
    assert [row.method for row in need.rows] == ["ssth", "ssvh", "bth", "mcmsh", "dkph", "conmh", "bervae", "s5vh"]
    # What the authors' own READMEs give.
    for comparison, readme in ((conmh.COMPARISON, "ConMH README"), (s5vh.COMPARISON, "S5VH README")):
        given = [score for score in published(method=comparison.own) if score.source.startswith(readme)]
        cells = {(score.dataset, score.bits, score.k) for score in given}
        names, bits, ks = comparison.datasets, comparison.bits, comparison.ks
        assert cells == {(name, length, k) for name in names for length in bits for k in ks}


def test_sizes_of_the_real_datasets() -> None:
    """As the papers give them."""
    assert set(real_sizes()) == {"FCVID", "ActivityNet", "UCF101", "HMDB51", "YFCC"}
    assert real_sizes()["UCF101"] == {
        "query_videos": 3783, "gallery_videos": 9537, "frames": 25, "dimensions": 4096, "classes": 101,
        "self_search": False,
    }  # fmt: skip
    assert (real_sizes()["FCVID"]["gallery_videos"], real_sizes()["FCVID"]["self_search"]) == (45_600, True)


def test_measured_beside_published(
    registry: Registry, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.reports.beside.real_sizes", lambda: {"FCVID": {"self_search": True}})
    text = make(registry, runner, tmp_path, "conmh", ["fcvid"])
    rows = rows_of(text, "FCVID", 64)
    assert rows[0] == ["method", "numbers", *(f"mAP@{k}" for k in (5, 20, 40, 60, 80, 100))]
    found = {row[0]: place for place, row in enumerate(rows) if row[0]}
    assert list(found)[2:] == ["MFH", "SSTH", "JTAE", "SSVH", "NPH", "BTH", "MCMSH", "DKPH", "ConMH"]
    own = rows[found["ConMH"] :]
    best = ("0.345", "0.330", "0.310", "0.290", "0.270", "0.250")
    assert own[0] == ["ConMH", "measured", *(f"**{value}**" for value in best)]
    assert own[1] == ["", "published: FCVID<sup>e</sup>", "0.524", "0.373", "0.326", "0.301", "0.283", "0.267"]
    assert own[2] == ["", "difference", "-0.179", "-0.043", "-0.016", "-0.011", "-0.013", "-0.017"]
    # Never measured: one line, without a difference.
    assert rows[found["NPH"]][1:4] == ["published: FCVID<sup>a</sup>", "0.460", "0.287"]
    assert found["BTH"] == found["NPH"] + 1
    # Two sources in one line: Table 2 of the MCMSH paper has k = 5, its Table 1 the rest.
    assert rows[found["MCMSH"]][1:4] == ["published: FCVID", "0.494<sup>c</sup>", "0.335<sup>d</sup>"]
    for source in ("[a] github.com/EliSpectre", "[b] BTH repo", "[e] ConMH README", "on FCVID, one number without"):
        assert source in text
    assert "- NPH: no official code was found, and the facts are too thin" in text
    assert "- SSTH: no such method is built in." in text
    assert "MCMSH: epochs 26 to 55 are all evaluated on the test set" in text
    with (tmp_path / "tables" / "fcvid-64-bits.csv").open(encoding="utf-8") as file:
        cells = {(row["label"], row["k"]): row for row in csv.DictReader(file)}
    assert cells["ConMH", "100"]["source"].startswith("ConMH README")
    assert float(cells["ConMH", "100"]["difference"]) == pytest.approx(0.25 - 0.267)
    assert (cells["NPH", "5"]["measured"], cells["NPH", "5"]["published"]) == ("", "0.46")


def test_claims(registry: Registry, runner: Runner, tmp_path: Path) -> None:
    """BTH overtakes ConMH at k = 100."""

    def crossing(run: PlannedRun, k: int) -> float:
        return level(run, k) + 0.06 * (run.spec.method == "bth" and k == 100)

    text = make(registry, runner, tmp_path, "conmh", ["fcvid"], levels=crossing)
    assert (
        "- ConMH is better than each of the others, mAP@20 at 16 bits, seed 0: for these weights 1 of 1 higher (ConMH "
        "over BTH +0.050); in the published numbers 1 of 1." in text
    )
    assert (
        "- ConMH is best at every k, mAP@5, 20, 40, 60, 80, 100 at 16 bits, seed 0: for these weights no (ConMH over "
        "BTH -0.010 at k = 100, the best of the others); in the published numbers yes." in text
    )
    assert text.count("a single seed was run") == 1
    assert "They hold for these settings. One seed: 0; " in text


def test_the_most_trusted_source_may_contradict_the_table(registry: Registry, runner: Runner, tmp_path: Path) -> None:
    """On FCVID its authors' README has S5VH above ConMH at k = 80 and 100, and at 32 bits at k = 5: 7 of 15."""
    text = make(registry, runner, tmp_path, "s5vh", ["fcvid"])
    assert (
        "Of these rows S5VH is the highest published on FCVID at 7 of 15 code lengths and k by the most trusted source "
        "of each number, and at 15 of 15 code lengths and k by the table of" in text
    )
    first = next(line for line in text.splitlines() if line.startswith("- S5VH is better than each"))
    # Published at 16 bits: above BTH (0.121), below ConMH (0.252) with 0.246.
    assert first.endswith("(S5VH over BTH +0.040, S5VH over ConMH -0.010); in the published numbers 1 of 2.")


def test_several_datasets_in_one_document(registry: Registry, runner: Runner, tmp_path: Path) -> None:
    text = make(registry, runner, tmp_path, "conmh", ["yfcc", "activitynet", "toy"])
    # Of all rows YFCC has published numbers of ConMH alone.
    ours = {row[0]: row for row in rows_of(text, "YFCC", 16)}
    assert set(ours["NPH"][2:]) == {"–"}
    assert rows_of(text, "YFCC", 16)[-1][1:3] == ["published: YFCC, another dataset<sup>a</sup>", "0.225"]
    assert "ConMH is the highest published on YFCC at none (nothing published to compare) by" in text
    assert (
        "mAP@20 at 16 bits, seed 0: for these weights 1 of 1 higher (ConMH over BTH +0.050); nothing published" in text
    )
    stand_in = rows_of(text, "stand-in data, not the real ACTIVITYNET", 32)
    assert stand_in[-1][1].startswith("published: ActivityNet, another dataset")
    assert "| difference" not in text
    # Nobody published anything on it.
    assert rows_of(text, "TOY", 64)[-1][1].startswith("published: FCVID, another dataset")
    assert "**stand-in data, not the real ActivityNet; not a dataset of the papers: TOY.**" in text
    assert (tmp_path / "figures" / "panels.svg").exists()
    assert len(list((tmp_path / "tables").glob("*-bits.csv"))) == 9


def test_named_methods_are_the_only_rows(registry: Registry, runner: Runner, tmp_path: Path) -> None:
    text = make(registry, runner, tmp_path, "s5vh", ["toy"], methods=["conmh", "bth"])
    assert [row[0] for row in rows_of(text, "TOY", 16)[2:] if row[0]] == ["BTH", "ConMH"]
    assert "Published only" not in text
    assert "is the highest" not in text
    assert "is best" not in text
    assert "One seed: 0; 16, 32 and 64 bits" in text


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        (["s5vh"], "--methods s5vh: conmh has no row of these; it has bth, conmh"),
        (["conmh", "nph"], "unknown method 'nph': NPH has published numbers only: no official code was found"),
    ],
)
def test_methods_without_a_row(registry: Registry, tmp_path: Path, methods: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        prepare(["conmh"], ["toy"], registry=registry, report_folder=tmp_path, methods=methods)


def test_every_published_method_can_be_run_or_has_a_reason(tmp_path: Path) -> None:
    names = {score.method.lower() for score in published(other_protocols=True)}
    runnable = set(load_registry().methods)
    assert names - runnable == set(published_only())
    text = " ".join(listing(["methods"], tmp_path, [], Selection()).split())
    for only in published_only().values():
        assert only.why
        assert only.method in text
    assert "Neighborhood Preserving Hashing" in text
    assert "the facts are too thin" in text
