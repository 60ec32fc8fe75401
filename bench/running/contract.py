"""The contract of a method: checks on a small dataset, for the tests and for users' own methods."""

import math
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from bench.base.errors import InputError
from bench.base.progress import Stopped
from bench.base.text import slug
from bench.data.dataset import Dataset, Split, Summary
from bench.data.features import ArrayFeatures, Features
from bench.data.stand_in import Synthetic
from bench.encoding.encoder import Encoder, load_encoder
from bench.encoding.fitting import fit, fit_method, inputs, resolve_parameters
from bench.learning.context import FitContext
from bench.learning.deep_method import DeepMethod
from bench.learning.method import Method
from bench.learning.states import TrainingStates

BITS, MORE_BITS = 12, 128
"""The code length of the checks, and the one for methods that cannot do with so few."""
FRAMES, DIMENSIONS, CLASSES = 25, 32, 3
QUICK = {
    "epochs": (1,), "reconstruction_epochs": (1,), "batch_size": (16,), "anchors": (6,), "hidden": (32, 64),
    "depth": (2,), "layers": (2,), "decoder_hidden": (24,),
}  # fmt: skip
"""Values for quick training, used if a method has the parameter: the first that it accepts."""
# Other batch sizes round differently, so bits of outputs near 0 may flip.
ROUNDING = 0.01


class ContractError(AssertionError):
    """A method violates the contract."""


def small_dataset() -> Dataset:
    """Synthetic data: 40 training, 12 query and 30 gallery videos of three classes, 25 frames × 32."""
    made = Synthetic("contract", FRAMES, DIMENSIONS, CLASSES)
    splits = {}
    for split, videos in (("train", 40), ("query", 12), ("gallery", 30)):
        labels = made.labels(split, videos, several=False)
        splits[split] = Split(ArrayFeatures(made.features(split, labels)), labels)
    summary = Summary(
        name="contract",
        title="Contract",
        fingerprint="0" * 32,
        train_videos=40,
        query_videos=12,
        gallery_videos=30,
        frames=FRAMES,
        dimensions=DIMENSIONS,
        classes=CLASSES,
        self_search=False,
    )
    return Dataset(summary, splits["train"], splits["query"], splits["gallery"], ("a", "b", "c"))


class Subject:
    """A method to check, with the encoder that it learns."""

    def __init__(self, method: type[Method], data: Dataset) -> None:
        self.method, self.data = method, data

    @cached_property
    def quick(self) -> dict[str, Any]:
        """Parameters for quick training."""
        taken: dict[str, Any] = {}
        for name, values in QUICK.items():
            for value in values if name in self.method.Parameters.model_fields else ():
                try:
                    self.method.Parameters.model_validate(taken | {name: value})
                except ValidationError:
                    continue
                taken[name] = value
                break
        return taken

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder, fitted once on the CPU with the default seed."""
        return self.fitted()

    @cached_property
    def bits(self) -> int:
        """The code length of the checks: 12, unless the method refuses so few."""
        parameters = resolve_parameters(self.method, self.data.summary, {}, self.quick)
        try:
            self.method(BITS, parameters).check(self.data.summary.train_shape)
        except InputError:
            return MORE_BITS
        return BITS

    @property
    def videos(self) -> Features:
        """The encoder's inputs for the gallery."""
        return inputs(self.method, self.data.gallery)

    def fitted(self) -> Encoder:
        """A new encoder, fitted like `encoder`."""
        return fit(self.method, self.data, bits=self.bits, device="cpu", **self.quick)

    def encode(self, encoder: Encoder, videos: Features | NDArray[np.float32]) -> NDArray[Any]:
        """Codes (n, K) of videos; of a reference its vectors, those of queries beside those of items."""
        if not self.method.reference:
            return encoder.encode(videos)
        return np.concatenate([encoder.vectors(videos, as_queries) for as_queries in (True, False)], axis=1)


def describes_itself(subject: Subject) -> None:
    """has a name, a title, a docstring, a revision of at least 1 and valid defaults"""
    method = subject.method
    _require(method.name == slug(method.name), f"its name {method.name!r} is not {slug(method.name)!r}")
    _require(bool(method.title), "its title is empty")
    _require(bool(method.__doc__), "it has no docstring")
    _require(method.revision >= 1, f"its revision is {method.revision}")
    method.Parameters()


def encodes_any_number(subject: Subject) -> None:
    """encodes any number of videos, none included, as int8 in -1, +1"""
    for count in (0, 1, 2, 3, 7, len(subject.videos)):
        codes = subject.encode(subject.encoder, subject.videos[:count])
        if subject.method.reference:
            _require(len(codes) == count and codes.dtype == np.float32, f"{count} videos have vectors {codes.shape}")
            continue
        _require(codes.shape == (count, subject.bits), f"codes of {count} videos have shape {codes.shape}")
        _require(codes.dtype == np.int8 and bool(np.isin(codes, (-1, 1)).all()), "codes are not int8 in -1, +1")


def repeats_itself(subject: Subject) -> None:
    """gives the same codes for the same seed"""
    differing = _differing(subject, subject.fitted())
    _require(
        differing == 0, f"{differing:.1%} of the bits differ; draw from context.random and context.seed_torch only"
    )


def survives_saving(subject: Subject) -> None:
    """gives the same codes after saving and loading"""
    with tempfile.TemporaryDirectory() as folder:
        subject.encoder.save(Path(folder) / "encoder")
        loaded = load_encoder(Path(folder) / "encoder", plugins=[subject.method])
    _require(loaded.description == subject.encoder.description, "its description changed")
    differing = _differing(subject, loaded)
    _require(differing == 0, f"{differing:.1%} of the bits differ; keep all that encoding needs in the module's state")


def encodes_each_alone(subject: Subject) -> None:
    """gives a video the same code whichever videos are beside it"""
    together = subject.encode(subject.encoder, subject.videos)
    each = (subject.videos[number : number + 1] for number in range(len(subject.videos)))
    alone = np.concatenate([subject.encode(subject.encoder, video) for video in each])
    differing = (~np.isclose(together, alone, rtol=1e-4, atol=1e-5)).mean()
    _require(
        differing < ROUNDING, f"{differing:.1%} of the bits differ; make outputs independent of the rest of the batch"
    )


def _differing(subject: Subject, encoder: Encoder) -> float:
    """The share of the bits, or of a reference's numbers, that another encoder gives otherwise."""
    return float((subject.encode(encoder, subject.videos) != subject.encode(subject.encoder, subject.videos)).mean())


def reports_losses(subject: Subject) -> None:
    """reports finite losses if it trains a network, else none"""
    history = subject.encoder.history
    _require(bool(history) == issubclass(subject.method, DeepMethod), f"its history has {len(history)} rows")
    _require(all(math.isfinite(value) for row in history for value in row.values()), "a loss is not finite")


def leaves_data_alone(subject: Subject) -> None:
    """leaves the training features as they are"""
    method, data = subject.method, subject.data
    before = data.train.features[:]
    parameters = resolve_parameters(method, data.summary, {}, subject.quick)
    fit_method(method(subject.bits, parameters), data, FitContext(3))
    _require(np.array_equal(data.train.features[:], before), "it changed the training features")


def survives_interruption(subject: Subject) -> None:
    """gives the same codes if its training is interrupted and resumed"""
    if not (issubclass(subject.method, DeepMethod) and "epochs" in subject.method.Parameters.model_fields):
        return
    method, data = subject.method, subject.data
    parameters = resolve_parameters(method, data.summary, {}, subject.quick | {"epochs": 2})
    whole = fit_method(method(subject.bits, parameters), data, FitContext(0))
    with tempfile.TemporaryDirectory() as folder:
        interrupted = FitContext(0, states=TrainingStates(Path(folder)), stop=lambda: True)
        with suppress(Stopped):
            fit_method(method(subject.bits, parameters), data, interrupted)
        resumed = fit_method(method(subject.bits, parameters), data, FitContext(0, states=TrainingStates(Path(folder))))
    differing = (resumed.encode(subject.videos) != whole.encode(subject.videos)).mean()
    _require(differing == 0, f"{differing:.1%} of the bits differ; list what steps change besides weights in `state`")


CHECKS: tuple[Callable[[Subject], None], ...] = (
    describes_itself,
    encodes_any_number,
    repeats_itself,
    survives_saving,
    encodes_each_alone,
    reports_losses,
    leaves_data_alone,
    survives_interruption,
)
"""The checks, simplest first; each raises ContractError, or what the method raises."""


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ContractError(otherwise)
