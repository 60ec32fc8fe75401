"""What S5VH prepares from the training set: pseudo labels and hash centres."""

from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.s5vh import S5vh
from bench.methods.s5vh.centres import hash_centres
from scipy.spatial.distance import cdist

import bench
from bench.data.dataset import Dataset
from bench.data.features import ArrayFeatures
from bench.learning.context import FitContext
from bench.learning.structure.anchor_graph import nearest_anchors
from tests.methods.masked import golden
from tests.methods.s5vh import parameters


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def test_pseudo_labels_are_the_nearest_centres() -> None:
    truth = golden("s5vh_structure")
    nearest, _ = nearest_anchors(truth["latents"], truth["anchors"], 1)
    np.testing.assert_array_equal(nearest[:, 0], truth["pseudo_labels"])


def test_the_first_centres_are_hadamards_rows_and_their_negatives() -> None:
    truth = golden("s5vh_structure")
    np.testing.assert_array_equal(hash_centres(12, 16, random()), truth["hadamard16"])
    found = hash_centres(20, 8, random())
    np.testing.assert_array_equal(found[:16], truth["centres_start"][:16])
    # Random ones, balanced as the authors' are.
    assert (found[16:].sum(axis=1) == 0).all()
    assert (truth["centres_start"][16:].sum(axis=1) == 0).all()
    assert not np.array_equal(found[16:], hash_centres(20, 8, np.random.default_rng(1))[16:])
    assert (np.abs(hash_centres(7, 1, random())) == 1).all()


def test_labels_come_from_the_mean_features(tiny: Dataset) -> None:
    """Three classes with means far apart: three clusters are the classes, whatever their numbers."""
    method = S5vh(16, parameters(clusters=3, pca=5))
    features = tiny.train.features
    objective = method.objective(method.network(25, 32), features, FitContext(0))
    assert objective.labels.dtype == torch.float32
    assert objective.labels.shape == (40, 3)
    assert (objective.labels.sum(dim=1) == 1).all()
    found = objective.labels.argmax(dim=1).numpy()
    classes = np.argmax(tiny.train.labels, axis=1)  # type: ignore[arg-type]
    assert len(set(zip(found.tolist(), classes.tolist(), strict=True))) == 3


def test_empty_clusters_leave_the_classifier_as_it_is() -> None:
    """Equal videos have fewer clusters than there are outputs."""
    videos = np.repeat(random().normal(size=(2, 4, 9)), 20, axis=0).astype(np.float32)
    method = S5vh(16, parameters(clusters=5, pca=2))
    objective = method.objective(method.network(4, 9), ArrayFeatures(videos), FitContext(0))
    assert objective.labels.shape == (40, 5)
    assert len(objective.labels.argmax(dim=1).unique()) == 2


@pytest.mark.parametrize("centres", ["learned", "fixed"])
def test_fixed_centres_stay(centres: str, tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Any] = {}
    encoder = S5vh.encoder

    def noting(self: S5vh, network: Any) -> Any:
        kept["weight"] = network.classifier.weight.detach().clone()
        return encoder(self, network)

    monkeypatch.setattr(S5vh, "encoder", noting)
    own = {"hidden": 8, "layers": 1, "decoder_hidden": 8, "clusters": 6, "epochs": 2, "batch_size": 20}
    bench.fit("s5vh", tiny, bits=16, device="cpu", centres=centres, **own)
    expected = hash_centres(6, 16, random())
    assert np.array_equal(kept["weight"].numpy(), expected) == (centres == "fixed")


def test_centres_are_far_apart() -> None:
    codes = hash_centres(100, 64, random())
    distances = cdist(codes, codes, "hamming") * 64
    assert distances[np.triu_indices(100, 1)].min() == 32
