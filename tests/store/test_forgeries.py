"""Forged results: none is called sound, and no cheap one is shown; true results are called so.

A store of real runs is made once; every forgery is done to a copy. What reads only moves nothing.
"""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.cli import main
from bench.registry import load_registry
from bench.running.plan import plan
from bench.running.runner import Runner
from bench.store.recompute import Recomputation, recomputation
from bench.store.registered import LABELS
from bench.store.store import Store
from bench.store.tiers import RECOMPUTED, REENCODED, judged
from bench.store.verify import verify
from tests.report.conftest import costs_of
from tests.store import forger
from tests.store.conftest import everything
from tests.store.forgeries import (
    CHEAP,
    COMPUTED,
    COPIED,
    LSH,
    METHODS,
    OTHER,
    SEEDS,
    codes_of_another,
    encoder_of,
    folder_of,
    record,
    scores,
)

SMALL = {"epochs": 2, "anchors": 4, "hidden": 8, "batch_size": 8}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of features of three classes, searched against itself."""
    folder = tmp_path_factory.mktemp("data") / "own"
    folder.mkdir()
    random = np.random.default_rng(0)
    for split, videos in (("train", 40), ("test", 30)):
        labels = np.eye(3, dtype=np.uint8)[np.arange(videos) % 3]
        features = labels @ random.normal(size=(3, 16)) + random.normal(size=(videos, 16))
        np.save(folder / f"{split}_feats.npy", np.repeat(features[:, None], 4, 1).astype(np.float32))
        np.save(folder / f"{split}_labels.npy", labels)
    (folder / "dataset.toml").write_text('gallery = "test"\nquery = "test"\n')
    return folder


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of four methods and two seeds at 16 bits, as `bench run` stores them, without costs."""
    store = Store(tmp_path_factory.mktemp("made") / "runs")
    runner = Runner(store, torch.device("cpu"))
    runner._measure = lambda planned, finished, datasets, leases: list(finished)  # type: ignore[method-assign]
    planned = plan(load_registry(), methods=METHODS, datasets=[str(data)], bits=[16], seeds=SEEDS,
                   parameters={"bth": SMALL})  # fmt: skip
    assert len(runner.run(planned)) == 7
    return store.root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "runs")
    return tmp_path / "runs"


@pytest.mark.parametrize("forgery", CHEAP)
def test_what_contradicts_itself_is_a_row_with_its_reason(
    forgery: str, root: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    CHEAP[forgery](root)
    before = everything(root)
    assert not verify(Store(root)).sound
    unsound = [run for run in Store(root).runs() if run.record.status == "unsound"]
    assert unsound
    for run in unsound:
        assert run.record.reason
        assert not run.record.metrics
        assert Store(root, lambda line: None).find_sound(run.record.spec) is None
    assert main(["results", "merge", str(root), "--results", str(root.parent / "merged")]) == 1
    assert "not copied: inconsistent (" in capsys.readouterr().err
    assert everything(root) == before


@pytest.mark.parametrize("forgery", COPIED)
def test_copied_codes_are_named(forgery: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    COPIED[forgery](root)
    assert main(["results", "verify", "--results", str(root)]) == 1
    assert "codes equal those of own/" in capsys.readouterr().out


@pytest.mark.parametrize("forgery", COMPUTED)
def test_what_the_codes_do_not_say_is_named(forgery: str, root: Path, data: Path) -> None:
    COMPUTED[forgery](root)
    source = load_registry().dataset(str(data))
    verified = verify(Store(root), Recomputation(load_registry(), {source.summary().fingerprint: source}))
    states = {finding.state for finding in verified.findings}
    assert states & {"not as computed", "inconsistent"}
    assert all("stored" in finding.what for finding in verified.findings if finding.state == "not as computed")


@pytest.mark.parametrize("forge", [codes_of_another, encoder_of(OTHER)])
def test_codes_that_the_encoder_does_not_give_are_named(
    forge: Callable[[Path], object], root: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(root)
    assert main(["results", "verify", "--reencode", "30", "--datasets", str(data), "--results", str(root)]) == 1
    assert "stored codes of 30 of 30 query videos differ from the encoder's" in _unfolded(capsys.readouterr().out)


def _unfolded(text: str) -> str:
    return " ".join(text.split())


def test_what_is_true_can_be_proven(root: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(root)
    for options in ([], ["--recompute"], ["--reencode", "30", "--datasets", str(data)]):
        assert main(["results", "verify", *options, "--results", str(root)]) == 0
        proven = "every metric follows from the codes" if options else "--recompute also computes every metric again"
        assert capsys.readouterr().out.endswith(f"{proven})\n")
    assert everything(root) == before


def test_tiers_are_what_can_be_shown_of_a_run(root: Path, data: Path) -> None:
    encoder_of(OTHER)(root)
    (folder_of(root, ("pcah", 0)) / forger.ENCODER / "encoder.safetensors").unlink()
    proof = recomputation(load_registry(), [str(data)], reencoded=30)
    found = {
        (run.run.record.spec.method, run.run.record.spec.seed): (run.run.record.status, run.tiers)
        for run in judged(Store(root).runs(), proof)
    }
    assert found["pcah", 0] == ("done", (RECOMPUTED,))
    (wrong,) = (run for run, (status, _) in found.items() if status == "unsound")
    assert found[wrong][1] == ()
    others = found.keys() - {("pcah", 0), wrong}
    assert {found[run] for run in others} == {("done", (RECOMPUTED, REENCODED))}
    shutil.rmtree(root / LABELS)
    assert {run.tiers for run in judged(Store(root).runs(), Recomputation(load_registry()))} == {()}


def test_labels_that_nothing_knows_prove_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(root / LABELS)
    assert main(["results", "verify", "--recompute", "--results", str(root)]) == 1
    assert "labels of own: unknown here; give the dataset with --datasets" in _unfolded(capsys.readouterr().out)


def test_evaluating_again_names_what_it_changes_and_puts_it_right(
    made: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores(lambda found: found["map"].update({"20": 0.999}))(root)
    folder, true = folder_of(root, LSH), forger.values_of(folder_of(made, LSH))
    assert main(["evaluate", "--results", str(root)]) == 0
    computed = true["metrics"]["paper"]["map"]["20"]
    assert f"{folder}: paper map 20: stored 0.999, computed {computed}\n" in capsys.readouterr().err
    assert forger.values_of(folder)["metrics"] == true["metrics"]
    assert verify(Store(root)).sound
    assert main(["evaluate", "--results", str(root)]) == 0
    assert "stored" not in capsys.readouterr().err


def test_counts_of_one_encoder_agree_between_seeds(root: Path) -> None:
    for run in (LSH, OTHER):
        size = (folder_of(root, run) / forger.ENCODER / "encoder.safetensors").stat().st_size
        changed = {"encoder_bytes": size, "parameters_encode": 1000 + run[1], "search": None}
        costs = costs_of("lsh", 16, 0, "cpu", 1.0, {}).model_copy(update=changed).model_dump(mode="json")
        record(partial(dict.update, costs=costs), run)(root)
    wrong = {run.record.spec.seed: run.record for run in Store(root).runs() if run.record.status == "unsound"}
    assert set(wrong) == set(SEEDS)
    assert "numbers of parameters" in str(wrong[0].reason)


@pytest.mark.parametrize(
    "cost", [{"flops": -1}, {"parameters_encode": 10**9}, {"code_bytes": 1}, {"encoder_bytes": 5}, {"encoding": []}]
)
def test_costs_that_cannot_be_are_refused(cost: dict[str, Any], root: Path) -> None:
    costs = json.loads(costs_of("lsh", 16, 0, "cpu", 1.0, {}).model_dump_json()) | {"search": None} | cost
    record(lambda values: values.update(costs=costs))(root)
    assert [run.record.spec.method for run in Store(root).runs() if run.record.status == "unsound"] == ["lsh"]


def test_seeds_of_a_method_without_any_run_once(root: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned = plan(
        load_registry(), methods=["pcah", "lsh"], datasets=[str(data)], bits=[16], seeds=[3, 4], parameters={}
    )
    assert [(run.spec.method, run.spec.seed) for run in planned] == [("pcah", 0), ("lsh", 3), ("lsh", 4)]
    assert "pcah: does not use the seed; run once, as seed 0" in capsys.readouterr().err
    # Those that earlier versions stored are understood.
    forger.move(folder_of(root, ("pcah", 0)), seed=1)
    assert verify(Store(root)).sound
    assert not verify(Store(root)).findings


@pytest.fixture
def crlf(root: Path) -> Path:
    for path in [*root.rglob("*.json"), *root.rglob("*.txt")]:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    return root


def test_line_ends_of_version_control_break_no_seal(crlf: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(crlf)
    assert main(["results", "verify", "--recompute", "--results", str(crlf)]) == 0
    assert [run.record for run in Store(crlf).runs()] == [run.record for run in Store(made).runs()]
    assert everything(crlf) == before
    capsys.readouterr()
    assert main(["results", "merge", str(made), "--results", str(crlf)]) == 0
    assert capsys.readouterr().out == f"{crlf}: the same is here 7\n"
