"""`bench choose`, from features to a recommendation."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bench.cli.choose import usual_lengths
from bench.profile import encoding
from bench.profile.cost_types import Rates
from tests.cli.conftest import Run

CALL = ("choose", "clips", "--bytes", "3", "--methods", "itq,lsh", "--seeds", "0,1")


@pytest.fixture
def features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Features without labels around ten centres; times are measured shortly."""
    monkeypatch.setattr("bench.profile.encoding.BATCHES", (1,))
    monkeypatch.setattr(encoding, "measure_rates", lambda *_: Rates(float32=1e9, bfloat16=1e9, copy_bytes=1e9))
    monkeypatch.setattr("bench.profile.costs.time_encoders", partial(encoding.time_encoders, seconds=0.01))
    random = np.random.default_rng(0)
    centres = random.normal(size=(10, 1, 18))
    (tmp_path / "clips").mkdir()
    videos = np.repeat(centres, 6, axis=0) + 0.3 * random.normal(size=(60, 2, 18))
    np.save(tmp_path / "clips/train_feats.npy", videos.astype(np.float32))
    (tmp_path / "clips/dataset.toml").write_text('query = "train"\ngallery = "train"\n')
    return tmp_path / "clips"


def test_a_choice_from_features_and_from_stored_runs(features: Path, call: Run) -> None:
    status, out, err = call(*CALL)
    assert status == 0, err
    # The neighbours are those of exact search, ten of them: it finds all among its first 20.
    assert "float32 cosine in 72 bytes, without any code, has 1.000." in out
    assert "recall@20 under protocol neighbours, mean over 2 seeds; at most 3 bytes a video." in out
    assert "Take " in out
    assert sorted(line.split("  ")[0] for line in out.splitlines() if " bits  " in line and "." in line) == [
        "ITQ, 16 bits",
        "LSH, 16 bits",
        "LSH, 24 bits",
    ]
    assert "itq is left out at 24 bits (bits: itq gives at most 18 bits for 60 training videos" in err
    assert "rabitq is left out at 16, 24 bits" in err
    again = call(*CALL)
    assert again[:2] == (0, out)
    assert "started" not in again[2]
    assert call("choose", "--bytes", "3")[:2] == (0, out)
    assert call("choose", "--bytes", "2")[0] == 0


def test_wrong_calls(features: Path, call: Run) -> None:
    for arguments, reason in (
        (("clips", "--bytes", "2", "--methods", "itg"), "did you mean itq?"),
        (("--bytes", "2"), "no such folder; give a results folder, or start with `bench run`"),
        (("clip", "--bytes", "2"), "clip"),
        (("clips", "--bytes", "2", "--seeds", "a"), "--seeds a: expected comma-separated integers"),
    ):
        status, out, err = call("choose", *arguments)
        assert (status, out) == (2, "")
        assert reason in err


@pytest.mark.parametrize(
    ("most", "lengths"),
    [(8, [8]), (16, [16]), (24, [16, 24]), (128, [16, 32, 64, 128]), (4096, [16, 32, 64, 128, 256, 512, 1024])],
)
def test_usual_lengths(most: int, lengths: list[int]) -> None:
    assert usual_lengths(most) == lengths
