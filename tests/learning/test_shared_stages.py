"""BTH's first stage, trained by the first run that begins with it and found by the others: same codes, same time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from bench.data.dataset import Dataset
from bench.learning.states import TrainingStates
from bench.running.one_run import shared_stages
from tests.conftest import survived
from tests.learning.test_states import CutAfter, fit

STEPS = 9
"""Of a stage: three epochs of three batches."""


def steps(method: str, data: Dataset, folder: Path, shared: Path, **chosen: object) -> int:
    """The steps that a fit takes."""
    progress = CutAfter()
    fit(method, data, TrainingStates(folder, shared=shared), progress, **chosen)
    return progress.steps


@pytest.mark.parametrize(("first", "second"), [("bth", "dkph"), ("dkph", "bth")])
def test_a_stage_that_was_found_gives_the_same_codes(first: str, second: str, tiny: Dataset, tmp_path: Path) -> None:
    expected = fit(second, tiny, None, CutAfter(), validation_share=0.25).encode(tiny.gallery.features)
    fit(first, tiny, TrainingStates(tmp_path / "1", shared=tmp_path), CutAfter(), validation_share=0.25)
    progress, states = CutAfter(), TrainingStates(tmp_path / "2", shared=tmp_path)
    found = fit(second, tiny, states, progress, validation_share=0.25)
    np.testing.assert_array_equal(found.encode(tiny.gallery.features), expected)
    # Of 30 videos, two batches.
    assert progress.steps == 6
    # Counted as if it had been trained here.
    with safe_open(tmp_path / "1" / "bth-reconstruction.safetensors", framework="pt") as file:
        assert states.earlier == json.loads(file.metadata()["note"])["fit_seconds"] > 0


def test_only_what_changes_the_stage_has_it_trained_again(tiny: Dataset, tmp_path: Path) -> None:
    assert steps("bth", tiny, tmp_path / "bth", tmp_path) == 2 * STEPS
    assert steps("dkph", tiny, tmp_path / "same", tmp_path, anchors=5, anchor_weight=0.3) == STEPS
    others: list[dict[str, Any]] = [
        {"hidden": 16},
        {"corruption": 0.2},
        {"reconstruct_corrupted": True},
        {"learning_rate": 1e-3},
        {"learning_rate_decay_epochs": 1},
        {"batch_size": 15},
        {"validation_share": 0.1},
        {"precision": "bfloat16"},
    ]
    for number, other in enumerate(others):
        assert steps("dkph", tiny, tmp_path / f"{number}", tmp_path, **other) >= 2 * STEPS, other
    assert steps("dkph", tiny, tmp_path / "shorter", tmp_path, reconstruction_epochs=2) == 6 + STEPS


@pytest.mark.parametrize("content", [b"nonsense", b""])
def test_a_damaged_stage_is_trained_again_and_replaced(content: bytes, tiny: Dataset, tmp_path: Path) -> None:
    assert steps("bth", tiny, tmp_path / "1", tmp_path) == 2 * STEPS
    (kept,) = tmp_path.glob("*.safetensors")
    whole = len(kept.read_bytes())
    kept.write_bytes(content)
    assert steps("dkph", tiny, tmp_path / "2", tmp_path) == 2 * STEPS
    assert len(kept.read_bytes()) == pytest.approx(whole, rel=0.01)
    assert steps("dkph", tiny, tmp_path / "3", tmp_path) == STEPS
    survived("damaged stages in the cache")


def test_a_cache_that_cannot_be_written_changes_nothing(tiny: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert steps("bth", tiny, tmp_path / "1", tmp_path / "file" / "stages") == 2 * STEPS


def test_a_folder_is_of_one_dataset_seed_and_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def folder(seed: int = 0, fingerprint: str = "a") -> Path | None:
        class Run:
            class spec:  # noqa: N801
                pass

        Run.spec.seed, Run.spec.dataset_fingerprint = seed, fingerprint  # type: ignore[attr-defined]
        run: Any = Run
        return shared_stages(run, torch.device("cpu"))

    usual = folder()
    assert usual == folder()
    others = [folder(seed=1), folder(fingerprint="b")]
    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: 99)
        others.append(folder())
    with monkeypatch.context() as patch:
        patch.setattr("bench.profile.environment.processor", lambda: "another")
        others.append(folder())
    with monkeypatch.context() as patch:
        (tmp_path / "more.py").write_text("changed = True\n")
        patch.setattr("bench.methods.__path__", [str(tmp_path)])
        others.append(folder())
    assert len({usual, *others}) == 6
    monkeypatch.setattr("bench.running.one_run.cache_folder", lambda: None)
    assert folder() is None
