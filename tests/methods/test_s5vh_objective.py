"""S5VH's losses, soft labels and training step, against outputs of the authors' code."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from bench.methods.s5vh import S5vh, S5vhParameters
from bench.methods.s5vh.checkpoint import NAMES
from bench.methods.s5vh.objective import S5vhObjective, cluster_loss, reconstruction_loss, total_loss
from bench.methods.shared.binarise import binarise
from bench.methods.shared.contrastive import debiased_contrastive
from torch import Tensor

from bench.base.progress import SilentProgress, Stopped
from bench.data.dataset import Dataset
from bench.encoding.fitting import fit_method
from bench.learning.context import FitContext
from bench.learning.items import Batch
from bench.learning.loop import Training
from bench.learning.states import TrainingStates
from tests.methods.masked import assert_near, frame_numbers, golden, tensors
from tests.methods.s5vh import network, parameters

LOSS, GRADIENT = 1e-6, 1e-5
SETTINGS = {
    "contrastive_weight": "alpha",
    "cluster_weight": "a_cluster",
    "temperature": "temperature",
    "cluster_temperature": "temperature_cluster",
    "label_smoothing": "smoothing_alpha",
}
"""The authors' names of settings, by ours."""


def settings(truth: dict[str, Tensor], **others: Any) -> S5vhParameters:
    return parameters(**{ours: truth[theirs].item() for ours, theirs in SETTINGS.items()}, drop_path=0.0, **others)


def in_turn(first: Tensor, second: Tensor) -> Tensor:
    """Two views' arrays (B, …) as one, the views of a video in turn."""
    return torch.stack([first, second], dim=1).flatten(0, 1)


def views(truth: dict[str, Tensor]) -> dict[str, Tensor]:
    visible, hidden = frame_numbers(torch.stack([truth["mask1"], truth["mask2"]], dim=1))
    return {"visible": visible, "hidden": hidden}


@pytest.mark.parametrize("case", ["warmup", "after", "tau005"])
def test_losses_and_their_gradients(case: str) -> None:
    truth = tensors("s5vh_losses")
    own = settings(truth, tau_plus=truth[f"{case}_tau_plus"].item())
    names = [f"{kind}{view}" for kind in ("reconstruction", "frame_codes", "cluster_logits") for view in (1, 2)]
    given = {name: truth[name].requires_grad_() for name in names}
    hidden = views(truth)["hidden"]
    items = torch.arange(len(hidden))[:, None, None]
    labels = truth["labels_hard"]
    if case == "after":
        predicted = truth["label_logits"].softmax(dim=1)
        labels = torch.lerp(truth["labels_soft"], predicted.double(), own.label_smoothing)
        assert_near(labels, truth["after_labels"], "labels", LOSS)
    scale = truth["frame_codes1"].shape[2] * own.cluster_temperature
    restored = in_turn(given["reconstruction1"], given["reconstruction2"])
    codes = [given[f"frame_codes{view}"].mean(dim=1) for view in (1, 2)]
    losses = total_loss(
        {
            "reconstruction": reconstruction_loss(restored, truth["videos"][items, hidden].flatten(0, 1)),
            "contrastive": debiased_contrastive(*codes, own.temperature, own.tau_plus),
            "cluster": cluster_loss(
                in_turn(given["cluster_logits1"], given["cluster_logits2"]) / scale, labels.float()
            ),
        },
        own,
    )
    assert set(losses) == {"loss", "reconstruction", "contrastive", "cluster"}
    for name, value in losses.items():
        assert value.item() == pytest.approx(truth[f"{case}_{'total' if name == 'loss' else name}"].item(), rel=LOSS)
    losses["loss"].backward()
    for name, value in given.items():
        assert_near(cast(Tensor, value.grad), truth[f"{case}_grad_{name}"], name, GRADIENT)


@pytest.mark.parametrize("case", ["alike", "opposite"])
def test_the_contrastive_loss_at_its_ends(case: str) -> None:
    truth = tensors("s5vh_losses")
    found = debiased_contrastive(truth[f"{case}1"], truth[f"{case}2"], temperature=0.5, tau_plus=0.1)
    # Small numbers, of sums near 1.
    assert found.item() == pytest.approx(truth[f"{case}_contrastive"].item(), rel=5e-6)


def test_the_step_of_the_hash_layer() -> None:
    truth = tensors("s5vh_losses")
    logits = truth["binarise_in"].requires_grad_()
    codes = binarise(logits)
    assert torch.equal(codes, truth["binarise_out"])
    codes.backward(truth["binarise_upstream"])
    assert torch.equal(cast(Tensor, logits.grad), truth["binarise_grad"])


def objective(truth: dict[str, Tensor], **others: Any) -> tuple[S5vhObjective, Any, Batch]:
    """The objective of the training file, with the forward file's weights, and its batch."""
    own = settings(truth, tau_plus=truth["tau_plus"].item(), **others)
    model = network(tensors("s5vh_forward"), drop_path=0.0).train()
    rows = {"video": torch.arange(len(truth["x"])).flip(0)}
    # Stored in another order than the batch's.
    found = S5vhObjective(model, own, 25, truth["labels"].float().flip(0))
    return found, model, Batch({"video": truth["x"]}, {}, views(truth), rows)


def test_a_training_step() -> None:
    truth = tensors("s5vh_training")
    found, model, batch = objective(truth)
    losses = found.loss(batch, 50)
    for name, value in losses.items():
        assert value.item() == pytest.approx(truth["total" if name == "loss" else name].item(), rel=LOSS), name
    losses["loss"].backward()
    for name, weight in model.named_parameters():
        assert_near(weight.grad, truth[f"grad/{NAMES[name]}"], name, GRADIENT)
        # AdamW's step is defined by the authors' gradients.
        weight.grad.copy_(truth[f"grad/{NAMES[name]}"])
    S5vhParameters().optimiser(model).step()
    for name, weight in model.named_parameters():
        assert_near(weight, truth[f"stepped/{NAMES[name]}"], name, 1e-6)
        assert (weight - truth[f"stepped/{NAMES[name]}"]).abs().max() < 1e-5, name


def test_labels_change_after_a_step_and_only_then() -> None:
    truth = tensors("s5vh_training")
    found, model, batch = objective(truth)
    before = found.labels.clone()
    found.loss(batch, 50)
    assert torch.equal(found.labels, before)
    found.after_step(batch)
    assert_near(found.labels.flip(0), truth["new_labels"].float(), "labels", LOSS)
    assert found.state()["labels"] is found.labels
    after = found.labels.clone()
    # Not in the epochs before, and not in validation, which sees the labels as they are.
    found.loss(batch, 49)
    found.after_step(batch)
    assert torch.equal(found.labels, after)
    model.eval()
    first = found.loss(batch, 49)["cluster"]
    assert torch.equal(found.loss(batch, 350)["cluster"], first)
    assert not torch.equal(first, found.loss(batch, 350)["reconstruction"])


def test_smoothing_of_0_leaves_labels_alone() -> None:
    truth = tensors("s5vh_training")
    found, _, batch = objective(truth)
    still, _, _ = objective(truth | {"smoothing_alpha": torch.tensor(0.0)})
    assert still.loss(batch, 300)["cluster"] == found.loss(batch, 0)["cluster"]
    assert found.loss(batch, 300)["cluster"] != found.loss(batch, 0)["cluster"]


def test_labels_predicted_as_clusters_are() -> None:
    truth = tensors("s5vh_training")
    found, model, batch = objective(truth, label_normalised=True)
    found.loss(batch, 50)
    found.after_step(batch)
    with torch.no_grad():
        logits = model.classifier(model.encoder(truth["x"])) / (16 * 0.5)
    expected = 0.99 * truth["labels"] + 0.01 * logits.softmax(dim=1)
    assert_near(found.labels.flip(0), expected.float(), "labels", LOSS)
    assert not torch.allclose(expected, truth["new_labels"], atol=1e-4)


def test_drop_path_acts_while_labels_are_predicted() -> None:
    """The authors predict in training mode."""
    truth = tensors("s5vh_training")
    own = settings(truth).model_copy(update={"label_smoothing": 1.0})
    model = network(tensors("s5vh_forward"), drop_path=0.5).train()
    found = S5vhObjective(model, own, 25, truth["labels"].float())
    batch = Batch({"video": truth["x"]}, {}, views(truth), {"video": torch.arange(9)})
    torch.manual_seed(0)
    found.loss(batch, 50)
    found.after_step(batch)
    first = found.labels.clone()
    found.loss(batch, 50)
    found.after_step(batch)
    assert not torch.equal(found.labels, first)


def test_a_bfloat16_step_is_near() -> None:
    truth = tensors("s5vh_training")
    found, model, batch = objective(truth)
    rough = Batch({"video": truth["x"].bfloat16()}, {}, batch.values, batch.rows)
    with torch.autocast("cpu", torch.bfloat16):
        losses = found.loss(rough, 50)
    losses["loss"].backward()
    for name, value in losses.items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(truth["total" if name == "loss" else name].item(), rel=0.1)
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())


def test_the_loop_takes_the_step() -> None:
    """Rates, optimiser and labels through the objects that `bench run` trains with."""
    truth = tensors("s5vh_training")
    found, model, batch = objective(truth)
    own = settings(truth).model_copy(update={"epochs": 350})
    training = Training(model, found, own, FitContext(0), "stage")
    with SilentProgress().task("", 1) as task:
        row = training.epoch(50, [batch], task)
    assert row["loss"] == pytest.approx(truth["total"].item(), rel=LOSS)
    (rate,) = {group["lr"] for group in training.optimiser.param_groups}
    assert rate == pytest.approx(truth["learning_rates"][50].item(), rel=1e-12)
    assert_near(found.labels.flip(0), truth["new_labels"].float(), "labels", LOSS)


def test_labels_survive_an_interruption(tiny: Dataset, tmp_path: Path) -> None:
    """Labels that are the network's own predictions: without them a resumed training is another."""
    own = parameters(hidden=8, layers=1, decoder_hidden=8, clusters=4, epochs=2, batch_size=20,
                     label_warm_up_epochs=0, label_smoothing=1.0, cluster_weight=10.0)  # fmt: skip
    whole = fit_method(S5vh(16, own), tiny, FitContext(0))
    states = TrainingStates(tmp_path)
    with pytest.raises(Stopped):
        fit_method(S5vh(16, own), tiny, FitContext(0, states=states, stop=lambda: True))
    resumed = fit_method(S5vh(16, own), tiny, FitContext(0, states=states))
    assert resumed.history == whole.history
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name]), name
    assert "labels" not in "".join(whole.module.state_dict())


def test_the_rates_of_the_default_schedule() -> None:
    rates = [S5vhParameters().rate(epoch) for epoch in range(350)]
    np.testing.assert_allclose(rates, golden("s5vh_training")["learning_rates"], rtol=1e-12)


def test_the_authors_values_for_ucf101() -> None:
    shown = {"epochs", "batch_size", "learning_rate", "learning_rate_floor", "weight_decay", "mask_ratio",
             "contrastive_weight", "temperature", "tau_plus", "cluster_weight", "cluster_temperature",
             "label_warm_up_epochs", "label_smoothing", "pca", "drop_path"}  # fmt: skip
    assert S5vhParameters().model_dump(include=shown) == {
        "epochs": 350, "batch_size": 128, "learning_rate": 5e-4, "learning_rate_floor": 1e-5, "weight_decay": 1e-4,
        "mask_ratio": 0.5, "contrastive_weight": 1.0, "temperature": 0.5, "tau_plus": 0.1, "cluster_weight": 0.1,
        "cluster_temperature": 0.5, "label_warm_up_epochs": 50, "label_smoothing": 0.01, "pca": 512, "drop_path": 0.5,
    }  # fmt: skip
