"""What every method must do, whichever it is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.context import FitContext
from bench.data.dataset import Dataset
from bench.encoder import Encoder, load_encoder
from bench.fitting import fit_method, inputs, resolve_parameters
from bench.method import Method
from bench.registry import load_registry
from bench.text import slug
from bench.training import DeepMethod

BITS = 12
METHODS = load_registry().methods


def small(method: type[Method]) -> dict[str, Any]:
    """Parameters that make deep methods quick."""
    quick = {"epochs": 1, "batch_size": 16, "anchors": 6, "hidden": 32}
    return {name: value for name, value in quick.items() if name in method.Parameters.model_fields}


def fitted(name: str, data: Dataset, seed: int = 0) -> Encoder:
    return bench.fit(name, data, bits=BITS, seed=seed, device="cpu", **small(METHODS[name]))


@pytest.fixture(scope="module", params=sorted(METHODS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def encoder(name: str, tiny: Dataset) -> Encoder:
    return fitted(name, tiny)


def test_metadata(name: str) -> None:
    method = METHODS[name]
    assert method.name == name == slug(name)
    assert method.title
    assert method.__doc__
    assert method.revision >= 1
    assert all(field.default is not None or field.annotation for field in method.Parameters.model_fields.values())
    # Defaults must be valid on their own: they are what the paper says.
    method.Parameters()


def test_codes_for_last_batches_of_every_size(name: str, encoder: Encoder, tiny: Dataset) -> None:
    videos = inputs(METHODS[name], tiny.gallery)
    for count in (0, 1, 2, 3, 7, len(videos)):
        codes = encoder.encode(videos[:count])
        assert codes.shape == (count, BITS)
        assert codes.dtype == np.int8
        assert np.isin(codes, (-1, 1)).all()


def test_same_seed_same_codes(name: str, encoder: Encoder, tiny: Dataset) -> None:
    videos = inputs(METHODS[name], tiny.gallery)
    np.testing.assert_array_equal(fitted(name, tiny).encode(videos), encoder.encode(videos))


def test_save_and_load(name: str, encoder: Encoder, tiny: Dataset, tmp_path: Path) -> None:
    videos = inputs(METHODS[name], tiny.gallery)
    encoder.save(tmp_path / "encoder")
    loaded = load_encoder(tmp_path / "encoder")
    assert loaded.description == encoder.description
    np.testing.assert_array_equal(loaded.encode(videos), encoder.encode(videos))


def test_codes_do_not_depend_on_the_other_videos(name: str, encoder: Encoder, tiny: Dataset) -> None:
    videos = inputs(METHODS[name], tiny.gallery)
    together = encoder.encode(videos)
    alone = np.concatenate([encoder.encode(videos[number : number + 1]) for number in range(len(videos))])
    # Other batch sizes round differently; a bit within rounding of 0 may flip, no more.
    assert (together != alone).mean() < 0.01


def test_training_labels_are_shown_to_bounds_only(name: str, tiny: Dataset) -> None:
    method = METHODS[name]
    assert method.uses_labels == (name == "oracle")
    assert method.bound == (name in {"oracle", "random"})
    if not method.uses_labels:
        assert inputs(method, tiny.train) is tiny.train.features


def test_deep_methods_report_their_losses(name: str, encoder: Encoder) -> None:
    if issubclass(METHODS[name], DeepMethod):
        assert encoder.history
        assert all(np.isfinite(list(row.values())).all() for row in encoder.history)
    else:
        assert encoder.history == []


def test_fitting_leaves_the_data_alone(name: str, tiny: Dataset) -> None:
    method = METHODS[name]
    before = tiny.train.features[:].copy()
    parameters = resolve_parameters(method, tiny.summary, {}, small(method))
    fit_method(method(BITS, parameters), tiny, FitContext(3))
    np.testing.assert_array_equal(tiny.train.features[:], before)


@pytest.mark.parametrize("method", sorted(name for name, found in METHODS.items() if issubclass(found, DeepMethod)))
def test_held_out_training_videos_choose_the_epoch(method: str, tiny: Dataset) -> None:
    parameters = small(METHODS[method]) | {"epochs": 4, "learning_rate": 0.02, "validation_share": 0.25}
    context = FitContext(0)
    resolved = resolve_parameters(METHODS[method], tiny.summary, {}, parameters)
    kept = fit_method(METHODS[method](BITS, resolved), tiny, context)
    losses = [row["validation_loss"] for row in context.history[-4:]]
    best = int(np.argmin(losses))
    assert context.checkpoint == f"epoch {best + 1} of 4: lowest loss on 10 training videos held out"
    # The same training, stopped at that epoch, ends with the same codes.
    shorter = resolve_parameters(METHODS[method], tiny.summary, {}, parameters | {"epochs": best + 1})
    if "reconstruction_epochs" in METHODS[method].Parameters.model_fields:
        shorter = shorter.model_copy(update={"reconstruction_epochs": 4})
    stopped = fit_method(METHODS[method](BITS, shorter), tiny, FitContext(0))
    np.testing.assert_array_equal(kept.encode(tiny.gallery.features), stopped.encode(tiny.gallery.features))
