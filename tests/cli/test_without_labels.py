"""From features that nobody labelled to a report: quality is recall of the exact neighbours."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main


@pytest.fixture
def features(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    folder = tmp_path / "clips"
    folder.mkdir()
    for split, videos in (("train", 60), ("test", 40)):
        np.save(folder / f"{split}_feats.npy", random.normal(size=(videos, 3, 16)).astype(np.float32))
    return folder


def test_a_run_without_labels(features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["--methods", "itq,random", "--bits", "8", "--datasets", str(features)]
    places = ["--results", str(tmp_path / "results"), "--report", str(tmp_path / "report")]
    assert main(["run", *call, *places]) == 0
    assert "recall@20" in capsys.readouterr().out
    text = (tmp_path / "report/report.md").read_text(encoding="utf-8")
    assert "no labels" in text
    assert "mAP@20" not in text
    record = json.loads(next((tmp_path / "results").glob("clips/itq/*/record.json")).read_text())
    assert list(record["metrics"]) == ["neighbours"]
    # 10 of the 39 other videos are neighbours: by chance 20 of 39 results hold 20/39 of them.
    chance = record["diagnostics"]["random"]["neighbours"]["20"]["value"]
    assert chance == pytest.approx(20 / 39, abs=0.06)
    assert record["metrics"]["neighbours"]["recall"]["20"] > chance
    assert main(["evaluate", "--results", str(tmp_path / "results")]) == 0


def test_a_bound_made_from_labels_is_refused(features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--methods", "oracle", "--datasets", str(features), "--dry-run"]) == 2
    assert "oracle needs labels" in capsys.readouterr().err
