"""Tables and claims from synthetic records: every number is computed by hand."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bench.reports.beside import Beside, like_with_like
from bench.reports.mcmsh import McmshPaper
from bench.reports.mcmsh.claims import backbone_claims
from bench.reports.mcmsh.rows import BACKBONES, TABLES

from bench.base.errors import InputError
from bench.cli.reproduction import distinct, plan_need
from bench.data.dataset import Summary
from bench.metrics.statistics import Evidence
from bench.registry import Registry
from bench.report.recipe import Results
from bench.running.plan import PlannedRun
from bench.running.runner import Runner
from bench.store.stored_run import write_record

from .conftest import Level, fill, reproduce

GAINS = {"mlp-mixer": 0.0, "mixer-lrd": 0.02, "mixer-mrd": -0.01, "mixer-srd": 0.0, "mcmsh": 0.03, "bth": 0.0}


def level(run: PlannedRun, k: int) -> float:
    """Falls with k; for losses it grows with the number of structures."""
    structures = sum(
        run.spec.parameters.get(f"{name}_weight", 0) > 0 for name in ("cluster", "similarity", "quadruplet")
    )
    return 0.3 + GAINS[run.spec.method] + 0.05 * (int(structures) - 3) - k / 1000 + run.spec.seed / 100


def make(
    runner: Runner,
    registry: Registry,
    folder: Path,
    names: Sequence[str],
    dataset: str,
    *,
    seeds: Sequence[int] = (0,),
    failing: Sequence[str] = (),
    levels: Level = level,
) -> str:
    """`paper.md` from synthetic records."""
    needed = [
        plan_need(need, [dataset], registry, seeds) for name in names for need in McmshPaper().needs(name, registry)
    ]
    fill(runner.store, distinct(needed), levels, failing)
    made = reproduce(names, dataset, runner=runner, registry=registry, report_folder=folder, seeds=seeds)
    return made.path.read_text(encoding="utf-8")


def rows_of(text: str, heading: str) -> list[list[str]]:
    lines = text.split(heading, 1)[1].split("\n\n")[1].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.fixture
def _any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few videos pass for the paper's dataset."""
    monkeypatch.setattr("bench.reports.beside.real_sizes", lambda: {"FCVID": {"self_search": True}})


@pytest.mark.parametrize(
    "change",
    [
        {"name": "yfcc"},
        {"self_search": False},
        {"stand_in": True},
        {"query_videos": 137},
        {"gallery_videos": 137},
        {"frames": 24},
        {"dimensions": 2048},
        {"classes": 238},
    ],
)
def test_only_the_papers_own_dataset_is_like_with_like(change: dict[str, Any]) -> None:
    papers = Summary(
        name="fcvid",
        title="FCVID",
        fingerprint="0" * 32,
        train_videos=45_585,
        query_videos=45_600,
        gallery_videos=45_600,
        frames=25,
        dimensions=4096,
        classes=239,
        self_search=True,
    )
    assert like_with_like(papers, "FCVID")
    assert not like_with_like(papers.model_copy(update=change), "FCVID")


@pytest.mark.usefixtures("_any_size")
def test_like_with_like_has_differences(runner: Runner, registry: Registry, tmp_path: Path) -> None:
    text = make(runner, registry, tmp_path / "paper", ["table1", "table3"], "fcvid")
    rows = rows_of(text, "## Table 1")
    assert rows[0] == ["backbone", "bits", "numbers", *(f"mAP@{k}" for k in (20, 40, 60, 80, 100))]
    assert rows[2] == ["MLP-Mixer", "32", "measured", "0.280", "0.260", "0.240", "0.220", "0.200"]
    assert rows[3][2:5] == ["worst to best order of ties", "0.260–0.300", "0.240–0.280"]
    assert rows[4] == ["", "", "published: FCVID", "0.288", "0.244", "0.223", "0.208", "0.195"]
    assert rows[5] == ["", "", "difference", "-0.008", "+0.016", "+0.017", "+0.012", "+0.005"]
    assert rows[18][:4] == ["MC-MLP", "32", "measured", "**0.310**"]
    # At 64 bits no order of ties changes anything.
    assert len(rows) == 2 + 4 * 5 + 3 * 5
    with (tmp_path / "paper" / "tables" / "table1.csv").open(encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert float(first["difference"]) == pytest.approx(0.28 - 0.288)

    costs = rows_of(text, "## Table 3")
    assert costs[2][:5] == ["BTH", "measured", "2.12 M", "1.86 M", "0.0466 G"]
    assert costs[6][:5] == ["", "published: FCVID", "1.76 M", "–", "0.05 G"]
    assert costs[7][:5] == ["", "difference", "+0.00 M", "–", "-0.00 G"]
    assert "in FLOPs (within 10%): yes (0.99 times BTH's)" in text
    assert "batch 1: yes (1.5 against 2 ms a video)." in text
    assert "batch 256: yes (0.099 against 0.1 ms a video; the quartiles overlap" in text
    assert "another dataset" not in text


def test_the_cost_table_says_the_rest_in_footnotes(runner: Runner, registry: Registry, tmp_path: Path) -> None:
    text = make(runner, registry, tmp_path / "paper", ["table3"], "fcvid").replace("\\", "")
    assert (
        "BTH: 3,170,624 parameters instantiated, 2,121,280 used in training, 1,855,040 needed to encode; 46,604,800 "
        "multiply-adds as fvcore counts them, besides 3,125 other operations (operators that it leaves out: softmax ×1)"
        "; code 8 bytes, model 7 MB on disk, peak memory 8 MB at batch 1 and 60 MB at batch 64. Median [95 % "
        "confidence interval] a video: 1 thread: 4.00 [3.92–4.08] ms at batch 1, 0.200 [0.196–0.204] ms at batch 256 "
        "(1,165 % of the rate); 2 threads: 2.00 [1.96–2.04] ms at batch 1,"
    ) in text
    assert "MCMSH: 1,761,397 parameters instantiated, 1,761,397 used in training, 1,761,397 needed to encode" in text
    assert "Machine: 1 thread: 20·10⁹ float32 and 10·10⁹ bfloat16 multiply-adds/s, 10 GB/s copied" in text
    assert "Only shares compare across machines." in text


def test_noisy_times_decide_nothing(runner: Runner, registry: Registry, tmp_path: Path) -> None:
    needed = plan_need(TABLES["table3"], ["toy"], registry, (0,))
    for run in fill(runner.store, distinct([needed]), level):
        costs = run.record.costs
        if run.record.spec.method == "bth" and costs is not None:
            times = costs.encoding[-1]
            sweep = [timing.model_copy(update={"noisy": timing.batch == 1}) for timing in times.sweep]
            noisy = costs.model_copy(update={"encoding": [times.model_copy(update={"sweep": sweep})]})
            write_record(run.folder, run.record.model_copy(update={"costs": noisy}))
    made = reproduce(["table3"], "toy", runner=runner, registry=registry, report_folder=tmp_path / "paper")
    text = made.path.read_text(encoding="utf-8")
    assert "batch 1: cannot be said (1.5 against 2 ms a video; too noisy)." in text
    assert "batch 256: yes (0.099 against 0.1 ms a video; the quartiles overlap" in text


def test_lower_bounds_match_nothing(runner: Runner, registry: Registry, tmp_path: Path) -> None:
    needed = plan_need(TABLES["table3"], ["toy"], registry, (0,))
    for run in fill(runner.store, distinct([needed]), level):
        if run.record.spec.method == "bth" and run.record.costs is not None:
            partly = run.record.costs.model_copy(update={"uncounted_operators": {"baddbmm": 1}})
            write_record(run.folder, run.record.model_copy(update={"costs": partly}))
    made = reproduce(["table3"], "toy", runner=runner, registry=registry, report_folder=tmp_path / "paper")
    text = made.path.read_text(encoding="utf-8").replace("\\", "")
    assert rows_of(text, "## Table 3")[2][4] == "≥ 0.0466 G"
    assert "MCMSH matches BTH's cost in FLOPs: cannot be said, not all of it is counted." in text
    assert "at least 46,604,800 multiply-adds" in text


def test_another_dataset_has_none(runner: Runner, registry: Registry, tmp_path: Path) -> None:
    text = make(runner, registry, tmp_path / "paper", ["table1", "table2", "table3"], "toy")
    assert "| difference" not in text
    assert "FCVID is another dataset" in text
    assert rows_of(text, "## Table 2")[3][1] == "published: FCVID, another dataset"
    assert "Protocol paper: AP@k is divided by k" in text
    assert "one seed (0)" in text


def test_one_seed_claims_for_its_weights_and_nothing_else(runner: Runner, registry: Registry, tmp_path: Path) -> None:
    text = make(runner, registry, tmp_path / "paper", ["table1", "table2"], "toy").replace("\\", "")
    assert (
        "improves on MLP-Mixer, mAP@20 at 32 bits, seed 0: for these weights 1 of 3 higher (+L-RD over MLP-Mixer "
        "+0.020, +M-RD over MLP-Mixer -0.010, +S-RD over MLP-Mixer +0.000≈); in the paper 3 of 3."
    ) in text
    assert (
        "mAP@20 at 64 bits, seed 0: for these weights yes (MC-MLP over +L-RD +0.010, the best of the others); in the "
        "paper yes."
    ) in text
    assert "better than either alone, mAP@20 at 64 bits, seed 0: for these weights 6 of 6 higher" in text
    assert text.count("a single seed was run") == 2
    assert "two-way bootstrap" not in text


def claims_of(text: str) -> list[str]:
    """The sentences of the first table."""
    return [line.removeprefix("- ") for line in text.split("measured numbers:")[1].split("\n\n")[1].splitlines()]


def test_several_seeds_claim_what_their_spread_allows(runner: Runner, registry: Registry, tmp_path: Path) -> None:
    """Three seeds that lie 0.01 apart have a mean with a standard error of 0.0058; 0.02 is 2.4 of a difference's."""
    text = make(runner, registry, tmp_path / "paper", ["table1"], "toy", seeds=(0, 1, 2)).replace("\\", "")
    assert rows_of(text, "## Table 1")[2][3] == "0.290 ± 0.010"
    assert "mean ± standard deviation over 3 seeds (0, 1, 2)" in text
    assert claims_of(text)[0] == (
        "Each module alone improves on MLP-Mixer, mAP@20 at 32 bits, seeds 0, 1, 2: not shown, 0 of 3 better, 3 within "
        "noise (+L-RD over MLP-Mixer +0.020≈, +M-RD over MLP-Mixer -0.010≈, +S-RD over MLP-Mixer +0.000≈); in the "
        "paper 3 of 3."
    )
    assert (
        "seeds 0, 1, 2: cannot be told (MC-MLP over +L-RD +0.010≈, the best of the others); in the paper yes." in text
    )
    assert "for these weights" not in text
    assert "two-way bootstrap over seeds and queries" in text


def test_clear_differences_are_claimed(runner: Runner, registry: Registry, tmp_path: Path) -> None:
    """0.130 and more between three seeds that lie 0.02 apart altogether."""
    gains = {"mlp-mixer": 0.0, "mixer-lrd": 0.13, "mixer-mrd": -0.13, "mixer-srd": 0.14, "mcmsh": 0.3}

    def clear(run: PlannedRun, k: int) -> float:
        return 0.3 + gains[run.spec.method] + run.spec.seed / 100

    text = make(runner, registry, tmp_path / "paper", ["table1"], "toy", seeds=(0, 1, 2), levels=clear)
    first, best, *_ = claims_of(text.replace("\\", ""))
    assert first == (
        "Each module alone improves on MLP-Mixer, mAP@20 at 32 bits, seeds 0, 1, 2: in part, 2 of 3 better, 1 worse "
        "(+L-RD over MLP-Mixer +0.130, +M-RD over MLP-Mixer -0.130, +S-RD over MLP-Mixer +0.140); in the paper 3 of 3."
    )
    assert best == (
        "All three together are best, mAP@20 at 32 bits, seeds 0, 1, 2: yes (MC-MLP over +S-RD +0.160, the best of the "
        "others); in the paper yes."
    )


def test_claims_stand_beside_their_settings(runner: Runner, registry: Registry, tmp_path: Path) -> None:
    text = make(runner, registry, tmp_path / "paper", ["table2"], "toy", seeds=(0, 1)).replace("\\", "")
    (line,) = [line for line in text.splitlines() if line.startswith("They hold for these settings.")]
    assert "Seeds 0, 1; 64 bits; Synthetic CPU 3000, 2 threads; parameters, where they are not the methods' " in line
    # What the rows vary is in the table; what the dataset recommends is not.
    assert "epochs=1 (default 56)" in line
    assert "hidden=32 (default 256)" in line
    assert "_weight" not in line


def test_many_comparisons_need_more_to_be_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """p = 0.02 alone is none by chance; among three (Holm: 0.06) it is, but for a claim that needs all three."""
    monkeypatch.setattr(
        Beside, "evidence", lambda shown, compared, bits: [Evidence(0.02, for_seeds=True) for _ in compared]
    )
    rows = [
        {"bits": bits, "label": row.label, "k": 20, "measured": 0.3 + 0.1 * place, "published": 0.1 * place}
        for bits in (32, 64)
        for place, row in enumerate(BACKBONES)
    ]
    shown = Beside(Results(TABLES["table1"], {}), pd.DataFrame(rows), "FCVID", comparable=False)
    first, best, *_ = backbone_claims(shown)
    assert "not shown, 0 of 3 better, 3 within noise" in first
    assert "bits: yes (MC-MLP over +S-RD +0.100, the best of the others)" in best


def test_failed_runs_keep_their_rows(runner: Runner, registry: Registry, tmp_path: Path) -> None:
    text = make(runner, registry, tmp_path / "paper", ["table1", "table3"], "toy", failing=["mlp-mixer", "bth"])
    first = rows_of(text, "## Table 1")[2]
    assert first[3:8] == ["–"] * 5
    assert "failed: RuntimeError: out" in first[8]
    assert "at 32 bits, seed 0: not measured; in the paper 3 of 3." in text
    assert "of the 3 measured" in text
    assert "encodes faster: not measured." in text


def test_same_results_give_the_same_bytes(runner: Runner, registry: Registry, tmp_path: Path) -> None:
    for name in ("one", "two"):
        make(runner, registry, tmp_path / name, ["table1", "table2", "table3"], "toy")
    contents = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "one", tmp_path / "two")
    ]
    assert contents[0] == contents[1]
    text = (tmp_path / "one" / "paper.md").read_text(encoding="utf-8")
    links = set(re.findall(r"\]\(((?:tables|figures)/[^)]+)\)", text))
    assert links == {path.as_posix() for path in contents[0]} - {"paper.md", "paper.html", ".paper.md.json"}


def test_foreign_folders_and_empty_stores(runner: Runner, registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "paper.md").write_text("years of work")
    with pytest.raises(InputError, match="--report"):
        reproduce(["table3"], "toy", runner=runner, registry=registry, report_folder=folder)
    assert (folder / "paper.md").read_text() == "years of work"
    with pytest.raises(InputError, match="only-cached"):
        reproduce(["table3"], "toy", runner=runner, registry=registry, report_folder=tmp_path / "new")
    with pytest.raises(InputError, match="did you mean"):
        reproduce(["figure"], "toy", runner=runner, registry=registry, report_folder=tmp_path / "new")
    assert not (tmp_path / "new").exists()
