"""Whole trainings of AutoSSVH: clusters follow the network from epoch to epoch, and an interruption changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.progress import Stopped
from bench.data.dataset import Dataset
from bench.encoding.encoder import Encoder
from bench.encoding.fitting import fit_method, resolve_parameters
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
) -> Encoder:
    found = load_registry().method("autossvh")
    resolved = resolve_parameters(found, data.summary, {}, QUICK | chosen)
    states = TrainingStates(folder, seconds=0) if folder else None
    return fit_method(found(16, resolved), data, FitContext(0, stop=stop, states=states))


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
