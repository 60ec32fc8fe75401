"""Whole trainings of AutoSSVH: clusters follow the network from epoch to epoch, and an interruption changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bench.base.progress import Stopped
from bench.data.dataset import Dataset, Split
from bench.data.features import Features
from bench.data.folder import open_features
from bench.encoding.encoder import Encoder
from bench.encoding.fitting import fit_method, resolve_parameters
from bench.learning import residency
from bench.learning.context import FitContext
from bench.learning.states import TrainingStates
from bench.registry import load_registry

QUICK: dict[str, Any] = {
    "epochs": 3, "warm_up_epochs": 1, "batch_size": 16, "hidden": 32, "depth": 1, "heads": 2, "decoder_hidden": 16,
    "decoder_depth": 1, "learning_rate": 0.01, "input_dropout": 0.1,
}  # fmt: skip
VARIANTS: list[dict[str, Any]] = [{}, {"sampler": "grade", "vote": "sign"}]


def never() -> bool:
    return False


def fit(
    data: Dataset,
    chosen: dict[str, Any],
    folder: Path | None = None,
    stop: Callable[[], bool] = never,
    features: Features | None = None,
) -> Encoder:
    found = load_registry().method("autossvh")
    resolved = resolve_parameters(found, data.summary, {}, QUICK | chosen)
    given = Dataset(data.summary, Split(features or data.train.features), data.query, data.gallery, data.class_names)
    states = TrainingStates(folder, seconds=0) if folder else None
    return fit_method(found(16, resolved), given, FitContext(0, stop=stop, states=states))


@pytest.mark.parametrize("chosen", VARIANTS)
def test_an_interrupted_training_ends_the_same(chosen: dict[str, Any], tiny: Dataset, tmp_path: Path) -> None:
    whole = fit(tiny, chosen)
    # Each of the three ends of an epoch is a stop, two of them with clusters.
    for _ in range(2):
        with pytest.raises(Stopped):
            fit(tiny, chosen, tmp_path, lambda: True)
    resumed = fit(tiny, chosen, tmp_path)
    assert resumed.history == whole.history
    np.testing.assert_array_equal(resumed.encode(tiny.gallery.features), whole.encode(tiny.gallery.features))
    prototype = [row["prototype"] for row in whole.history]
    assert prototype[0] == 0
    assert min(prototype[1:]) > 0


def test_features_in_their_file_give_the_same_codes(
    tiny: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fit(tiny, {}).encode(tiny.gallery.features)
    with h5py.File(tmp_path / "features.h5", "w") as file:
        file.create_dataset("feats", data=tiny.train.features[:])
    monkeypatch.setattr(residency, "free_memory", lambda: 0)
    found = fit(tiny, {}, features=open_features(tmp_path / "features.h5"))
    np.testing.assert_array_equal(found.encode(tiny.gallery.features), expected)


def test_bfloat16_is_close_to_float32(tiny: Dataset) -> None:
    for chosen in VARIANTS:
        rough, exact = (fit(tiny, chosen | {"precision": precision}) for precision in ("bfloat16", "float32"))
        assert rough.history[0]["loss"] == pytest.approx(exact.history[0]["loss"], rel=0.05)
        assert rough.history[0]["loss"] != exact.history[0]["loss"]
