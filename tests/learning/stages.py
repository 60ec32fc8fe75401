"""The trainings that a method asks the loop for, caught before their first epoch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from torch import nn

from bench.data.features import ArrayFeatures, Features
from bench.learning.context import FitContext
from bench.learning.deep_method import AuthorsWeights, DeepMethod
from bench.learning.layers import Dropout
from bench.learning.objective import Objective
from bench.learning.schedule import BaseSchedule
from bench.registry import load_registry


@dataclass(frozen=True)
class Stage:
    """What `train` was called with."""

    method: str
    authors: AuthorsWeights
    network: nn.Module
    objective: Objective
    schedule: BaseSchedule
    name: str


def stages_of(
    method: str, bits: int, frames: int, dimensions: int, features: Features | None = None, **parameters: Any
) -> list[Stage]:
    """The stages of fitting a method by name, in order, each with the network and objective that it would train.

    The training set is `features`, else made up.
    """
    found = load_registry().method(method)
    assert issubclass(found, DeepMethod)
    assert found.authors is not None
    authors, stages = found.authors, list[Stage]()

    def train(
        network: nn.Module,
        objective: Objective,
        given: Features,
        schedule: BaseSchedule,
        context: FitContext,
        stage: str,
    ) -> None:
        stages.append(Stage(method, authors, network, objective, schedule, stage))

    if features is None:
        features = ArrayFeatures(np.random.default_rng(0).normal(size=(60, frames, dimensions)).astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.learning.deep_method.train", train)
        patch.setattr("bench.methods.bth.train", train)
        few = {"anchors": 8} if "anchors" in found.Parameters.model_fields else {}
        found(bits, found.Parameters.model_validate(few | parameters)).fit(features, FitContext(0))
    return stages


def quick(method: str, **parameters: Any) -> dict[str, Any]:
    """Parameters for a quick training, of those that the method has."""
    known = load_registry().method(method).Parameters.model_fields
    hidden = 64 if method == "wsch" else 32
    small = {"epochs": 1, "batch_size": 16, "anchors": 6, "hidden": hidden, "depth": 2, "decoder_hidden": 24}
    # A first stage as long as the second, also where that is not the default.
    small["reconstruction_epochs"] = parameters.get("epochs", 1)
    return {name: value for name, value in small.items() if name in known} | parameters


def without_dropout(network: nn.Module) -> None:
    """Turn all dropout of a network off."""
    for module in network.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
