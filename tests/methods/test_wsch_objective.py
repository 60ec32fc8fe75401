"""WSCH's losses, clusters and two stages, against outputs of the authors' code and by hand."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from bench.methods import wsch
from bench.methods.shared.contrastive import debiased_contrastive_of_units
from bench.methods.wsch import Wsch, WschParameters
from bench.methods.wsch.checkpoint import NAMES
from bench.methods.wsch.network import Seen, WschNetwork
from bench.methods.wsch.objective import (
    ClusterObjective,
    PretrainingObjective,
    cluster_loss,
    code_centres,
    reconstruction_loss,
)
from torch import Tensor

from bench.base.progress import Stopped
from bench.data.dataset import Dataset
from bench.encoding.encoder import Encoder
from bench.encoding.fitting import fit_method
from bench.learning.context import FitContext
from bench.learning.items import Batch
from bench.learning.objective import Objective
from bench.learning.states import TrainingStates
from tests.methods.masked import assert_near, frame_numbers, tensors
from tests.methods.wsch import network, parameters

LOSS, GRADIENT = 1e-6, 1e-5
QUICK = {"hidden": 64, "decoder_hidden": 16, "clusters": 4, "epochs": 3, "batch_size": 20, "learning_rate": 1e-3}


def in_turn(first: Tensor, second: Tensor) -> Tensor:
    """Two views' arrays (B, …) as one, the views of a video in turn."""
    return torch.stack([first, second], dim=1).flatten(0, 1)


def test_losses_and_their_gradients() -> None:
    truth = tensors("wsch_losses")
    given = {f"{kind}{view}": truth[f"{kind}{view}"].requires_grad_()
             for kind in ("reconstruction", "embedding") for view in (1, 2)}  # fmt: skip
    embeddings = in_turn(given["embedding1"], given["embedding2"])
    restored = in_turn(given["reconstruction1"], given["reconstruction2"])
    seen = Seen(embeddings, restored, in_turn(truth["target1"], truth["target2"]))
    found = {
        "reconstruction": reconstruction_loss(seen),
        "cluster": cluster_loss(embeddings, truth["centres"], truth["cluster_temperature"].item()),
        "contrastive": debiased_contrastive_of_units(
            given["embedding1"], given["embedding2"], truth["temperature"].item(), truth["tau_plus"].item()
        ),
    }
    for name, value in found.items():
        assert value.item() == pytest.approx(truth[name].item(), rel=LOSS), name
    (found["reconstruction"] + 0.02 * found["cluster"] + found["contrastive"]).backward()
    for name, value in given.items():
        assert_near(cast(Tensor, value.grad), truth[f"grad_{name}"], name, GRADIENT)


def batch_of(truth: dict[str, Tensor]) -> Batch:
    visible, hidden = frame_numbers(torch.stack([truth["mask1"], truth["mask2"]], dim=1))
    rows = {"video": torch.arange(len(truth["x"]))}
    return Batch({"video": truth["x"]}, {}, {"visible": visible, "hidden": hidden}, rows)


def objectives(model: WschNetwork, own: WschParameters) -> list[Objective]:
    """The first stage's, and those of the passes of the second."""
    shape = (6, 25, 48)
    return [PretrainingObjective(model, own, shape), *ClusterObjective(model, own, shape).passes()]


def test_a_training_step_of_every_pass() -> None:
    """The file's total is reconstruction + 0.02·cluster + contrastive: the two passes less one reconstruction."""
    truth, forward = tensors("wsch_training"), tensors("wsch_forward")
    model = network(forward).train()
    assert torch.equal(model.centres, forward["cluster_centres"])
    first, cluster, contrastive = (
        found.loss(batch_of(truth), 0) for found in objectives(model, parameters(forward))
    )  # fmt: skip
    assert [set(losses) - {"loss", "reconstruction"} for losses in (first, cluster, contrastive)] == [
        set(), {"cluster"}, {"contrastive"},
    ]  # fmt: skip
    for losses in (first, cluster, contrastive):
        for name in losses.keys() - {"loss"}:
            assert losses[name].item() == pytest.approx(truth[name].item(), rel=LOSS), name
    total = cluster["loss"] + contrastive["loss"] - first["loss"]
    assert total.item() == pytest.approx(truth["total"].item(), rel=LOSS)
    total.backward()  # type: ignore[no-untyped-call]
    for name, weight in model.named_parameters():
        assert_near(cast(Tensor, weight.grad), truth[f"grad/{NAMES[name]}"], name, GRADIENT)


def test_a_bfloat16_step_is_near() -> None:
    truth, forward = tensors("wsch_training"), tensors("wsch_forward")
    model = network(forward).train()
    given = batch_of(truth)
    rough = Batch({"video": truth["x"].bfloat16()}, {}, given.values, given.rows)
    for objective in objectives(model, parameters(forward)):
        with torch.autocast("cpu", torch.bfloat16):
            losses = objective.loss(rough, 0)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        for name in losses.keys() - {"loss"}:
            assert losses[name].dtype == torch.float32
            assert losses[name].item() == pytest.approx(truth[name].item(), rel=0.1), name
    assert all(torch.isfinite(cast(Tensor, weight.grad)).all() for weight in model.parameters())


def test_the_views_of_each_stage() -> None:
    model = Wsch(8, WschParameters.model_validate(QUICK)).network(25, 6)
    first, *passes = (found.mask_ratio for found in cast(Any, objectives(model, WschParameters())))
    assert first == 0.9
    assert passes == [0.6, 0.6]
    for objective, visible in zip(objectives(model, WschParameters()), (3, 10, 10), strict=True):
        values = objective.draw(np.arange(4), np.arange(4), np.random.default_rng(0)).values
        assert values["visible"].shape == (4, 2, visible)
        assert values["hidden"].shape == (4, 2, 25 - visible)


def test_centres_are_the_signs_of_the_means() -> None:
    """Two groups, with means of ±½ in the second bit and 0 in the third, and a centre that nothing is near to."""
    group = np.array([[1, 1, 1, 1], [1, 1, -1, 1], [1, 1, 1, 1], [1, -1, -1, 1]], np.float32)
    signs = np.concatenate([group, -group])
    start = np.array([[1, 1, 0, 1], [-1, -1, 0, -1], [-1, 1, -1, 1]], np.float32)
    np.testing.assert_array_equal(code_centres(signs, 3, start, 0), start)
    np.testing.assert_array_equal(code_centres(signs, 2, start[:2] * [1, 1, 9, 1], 0), start[:2])
    found = code_centres(signs, 2, None, seed=0)
    np.testing.assert_array_equal(found[found[:, 0].argsort()], start[[1, 0]])


def test_clusters_begin_at_the_last_centres(monkeypatch: pytest.MonkeyPatch) -> None:
    own = WschParameters.model_validate(QUICK)
    torch.manual_seed(0)
    model = Wsch(8, own).network(25, 6).eval()
    videos = torch.randn(10, 25, 6)
    visible = list[Any]()

    def encode(forward: Any, places: Any) -> Any:
        visible.append(places)
        return forward(videos, torch.from_numpy(places)).numpy()

    starts = list[Any]()

    def centres(signs: Any, clusters: int, start: Any, seed: int) -> Any:
        assert signs.shape == (20, 8)
        expected = model.encoder(videos.take_along_dim(torch.from_numpy(visible[-1][:, 1, :, None]), dim=1)).sign()
        np.testing.assert_array_equal(signs[1::2], expected)
        starts.append(None if start is None else start.copy())
        return code_centres(signs, clusters, start, seed)

    monkeypatch.setattr("bench.methods.wsch.objective.code_centres", centres)
    objective = ClusterObjective(model, own, (10, 25, 6))
    with torch.no_grad():
        objective.begin_epoch(0, encode, np.random.default_rng(0))
        after = model.centres.clone()
        objective.begin_epoch(1, encode, np.random.default_rng(1))
    # Few frames, as in the first stage.
    assert [places.shape for places in visible] == [(10, 2, 3)] * 2
    assert starts[0] is None
    np.testing.assert_array_equal(starts[1], after)
    assert np.isin(after, (-1, 0, 1)).all()
    assert (after != 0).any()


@pytest.mark.parametrize("equal", [1, 20])
def test_fewer_different_codes_than_clusters(equal: int) -> None:
    signs = np.repeat(np.sign(np.random.default_rng(0).normal(size=(20 // equal, 6))), equal, axis=0)
    found = code_centres(signs.astype(np.float32), 19, None, 0)
    assert found.shape == (19, 6)
    assert np.isin(found, (-1, 0, 1)).all()


def test_the_second_stage_goes_on_with_weights_and_moments(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = list[Any]()
    train: Any = wsch.train

    def watched(
        network: Any, objective: Any, features: Any, schedule: Any, context: Any, stage: str, **more: Any
    ) -> Any:
        before = [weight.detach().clone() for weight in network.parameters()]
        given = more.get("optimiser")
        steps = {int(values["step"]) for values in given.state.values()} if given else set()
        stages.append((stage, type(objective), schedule.epochs, before, steps))
        optimiser = train(network, objective, features, schedule, context, stage, **more)
        stages[-1] += ([weight.detach().clone() for weight in network.parameters()], optimiser)
        return optimiser

    monkeypatch.setattr(wsch, "train", watched)
    own = WschParameters.model_validate(QUICK | {"pretraining_epochs": 2})
    context = FitContext(0)
    fit_method(Wsch(8, own), tiny, context)
    (first, second) = stages
    assert (first[0], first[1], first[2]) == ("wsch: reconstruction", PretrainingObjective, 2)
    assert (second[0], second[1], second[2]) == ("wsch", ClusterObjective, 3)
    assert all(torch.equal(one, other) for one, other in zip(first[5], second[3], strict=True))
    assert first[6] is second[6]
    # Two batches an epoch of 40 videos, in two passes each in the second stage.
    assert second[4] == {4}
    assert {int(values["step"]) for values in second[6].state.values()} == {4 + 12}
    assert len(context.history) == 3
    assert set(context.history[0]) == {"epoch", "loss", "reconstruction", "cluster", "contrastive"}


@pytest.fixture(scope="module")
def whole(tiny: Dataset) -> Encoder:
    """A training that nothing interrupts."""
    return fit_method(Wsch(8, WschParameters.model_validate(QUICK)), tiny, FitContext(0))


@pytest.mark.parametrize("after", [1, 2, 3])
def test_an_interruption_in_either_stage(after: int, whole: Encoder, tiny: Dataset, tmp_path: Path) -> None:
    """After the first stage's one epoch, and after the second stage's first two: centres go on where they were."""
    own = WschParameters.model_validate(QUICK)
    stops = iter([False] * (after - 1) + [True])
    with pytest.raises(Stopped):
        fit_method(Wsch(8, own), tiny, FitContext(0, states=TrainingStates(tmp_path), stop=lambda: next(stops)))
    resumed = fit_method(Wsch(8, own), tiny, FitContext(0, states=TrainingStates(tmp_path)))
    assert resumed.history == whole.history
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name]), name


def test_the_authors_values() -> None:
    assert WschParameters().model_dump() == {
        "epochs": 300, "pretraining_epochs": None, "batch_size": 128, "learning_rate": 1e-4, "validation_share": 0.0,
        "precision": "float32", "hidden": 1024, "decoder_hidden": 1024, "pretraining_mask_ratio": 0.9,
        "mask_ratio": 0.6, "clusters": 800, "cluster_weight": 0.02, "cluster_temperature": 0.2,
        "contrastive_weight": 1.0, "temperature": 0.5, "tau_plus": 0.1,
    }  # fmt: skip
