"""What BTH's second training takes from its first: anchors and neighbours of mean hidden states."""

from typing import Any

import numpy as np
import pytest
import torch
from bench.methods import bth
from torch import nn

import bench
from bench.data.dataset import Dataset
from bench.learning.structure.kmeans import kmeans


def test_anchors_are_those_of_the_mean_hidden_states(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    latent = bth.latent_features

    def first_stage(network: bth.BthNetwork, *rest: Any) -> Any:
        seen["first"] = network
        return latent(network, *rest)

    def second_stage(network: nn.Module, objective: bth.NeighbourObjective, *_: object) -> None:
        seen["objective"] = objective

    monkeypatch.setattr(bth, "latent_features", first_stage)
    monkeypatch.setattr("bench.learning.deep_method.train", second_stage)
    bench.fit("bth", tiny, bits=8, device="cpu", epochs=1, hidden=32, anchors=6)
    # No dropout.
    assert not seen["first"].training
    with torch.no_grad():
        hidden = seen["first"].encoder.hidden(torch.from_numpy(tiny.train.features[:])).mean(dim=1).numpy()
    anchors = kmeans(hidden, 6, 0)
    nearest = ((hidden[:, None] - anchors[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert len(set(nearest.tolist())) == len(anchors)
    np.testing.assert_allclose(seen["objective"].anchors, anchors[nearest], atol=1e-6)


@pytest.mark.parametrize(("given", "expected"), [(None, [3, 3]), (2, [2, 3])])
def test_each_stage_has_its_own_number_of_epochs(
    given: int | None, expected: list[int], tiny: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs: list[int] = []

    def note(_network: nn.Module, _objective: object, _features: object, schedule: Any, *_: object) -> None:
        epochs.append(schedule.epochs)

    monkeypatch.setattr(bth, "train", note)
    monkeypatch.setattr("bench.learning.deep_method.train", note)
    bench.fit("bth", tiny, bits=8, device="cpu", epochs=3, reconstruction_epochs=given, hidden=32, anchors=6)
    assert epochs == expected
