"""ConMH's views, losses and training steps, against outputs of the authors' code."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from bench.methods.conmh import Conmh, ConmhObjective, ConmhParameters
from bench.methods.conmh.checkpoint import NAMES
from bench.methods.shared.binarise import binarise
from bench.methods.shared.contrastive import debiased_contrastive
from bench.methods.shared.views import draw_views
from torch import Tensor

from bench.base.progress import SilentProgress
from bench.data.dataset import Dataset
from bench.encoding.fitting import resolve_parameters
from bench.learning.context import FitContext
from bench.learning.items import Batch
from bench.learning.loop import Training
from tests.learning.stages import Stage, stages_of
from tests.methods.masked import assert_near, frame_numbers, golden, tensors

GRADIENT, AFTER = 2e-5, 1e-4


def stage(truth: dict[str, Tensor]) -> Stage:
    """The training that a fit begins, with the forward file's weights."""
    (found,) = stages_of("conmh", 16, *truth["x"].shape[1:], hidden=64, depth=3, decoder_hidden=48)
    state = found.network.state_dict()
    found.network.load_state_dict({ours: truth[f"weight/{NAMES[ours]}"] for ours in state})
    return found


def batch(videos: Tensor, masked: Tensor) -> Batch:
    visible, hidden = frame_numbers(masked)
    return Batch({"video": videos}, {}, {"visible": visible, "hidden": hidden})


def test_the_step_of_the_hash_layer() -> None:
    truth = tensors("conmh_losses")
    logits = truth["binarise/input"].requires_grad_()
    codes = binarise(logits)
    assert torch.equal(codes, truth["binarise/output"])
    codes.backward(truth["binarise/upstream"])
    assert torch.equal(cast(Tensor, logits.grad), truth["binarise/gradient"])
    # Round half to even: so near 0 that (z + 1)/2 is 1/2.
    assert torch.equal(binarise(torch.tensor([5e-8, 1.2e-7])), torch.tensor([-1.0, 1.0]))


def test_the_contrastive_loss() -> None:
    truth = tensors("conmh_losses")
    views = [truth[f"frame_codes{number}"].mean(dim=1).requires_grad_() for number in (1, 2)]
    loss = debiased_contrastive(*views, temperature=0.5, tau_plus=0.1)
    assert_near(loss, truth["contrastive"])
    assert_near(debiased_contrastive(*views, temperature=0.2, tau_plus=0.05), truth["contrastive_other"])
    loss.backward()
    for number, view in enumerate(views, 1):
        assert_near(cast(Tensor, view.grad), truth[f"grad/mean_codes{number}"], tolerance=GRADIENT)


def test_the_lower_limit_of_the_contrastive_loss() -> None:
    truth = tensors("conmh_losses")
    loss = debiased_contrastive(truth["clamped_codes1"], truth["clamped_codes2"], temperature=0.5, tau_plus=0.1)
    assert_near(loss, truth["clamped_contrastive"])


def test_a_code_of_zeros_has_a_loss_and_a_gradient() -> None:
    first, second = torch.zeros(3, 4, requires_grad=True), torch.ones(3, 4)
    loss = debiased_contrastive(first, second, temperature=0.5, tau_plus=0.1)
    loss.backward()
    # All products of first are 0; the products among second are 1.
    of_first = np.log(1 + max((4 - 0.4) / 0.9, 4 * np.exp(-2)))
    of_second = np.log(1 + max((2 + 2 * np.exp(2) - 0.4) / 0.9, 4 * np.exp(-2)))
    assert loss.item() == pytest.approx((of_first + of_second) / 2, rel=1e-6)
    assert torch.isfinite(cast(Tensor, first.grad)).all()


@pytest.mark.parametrize("weight", [1.0, 0.2])
def test_the_parts_of_the_loss(weight: float) -> None:
    truth = tensors("conmh_losses")

    def interleaved(name: str) -> Tensor:
        return torch.stack([truth[f"{name}1"], truth[f"{name}2"]], dim=1).flatten(0, 1)

    def network(videos: Tensor, visible: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        targets = torch.stack([videos[place, hidden[place]] for place in range(len(videos))])
        return interleaved("frame_codes").mean(dim=1), interleaved("restored"), targets.flatten(0, 1)

    objective = ConmhObjective(cast(Any, network), ConmhParameters(contrastive_weight=weight), 25)
    losses = objective.loss(batch(truth["x"], truth["mask"]), 0)
    assert set(losses) == {"loss", "reconstruction", "contrastive"}
    assert_near(losses["reconstruction"], truth["reconstruction"])
    assert_near(losses["contrastive"], truth["contrastive"])
    assert_near(losses["loss"], truth["reconstruction"] + weight * truth["contrastive"])
    assert_near(truth["reconstruction"] + truth["contrastive"], truth["total"])


def test_the_gradients_of_a_step() -> None:
    truth = tensors("conmh_forward")
    trained = stage(truth)
    loss = trained.objective.loss(batch(truth["x"], truth["mask"]), 0)["loss"]
    assert_near(loss, truth["total"])
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {NAMES[name]: weight.grad for name, weight in trained.network.named_parameters()}
    assert all(gradient is not None for gradient in gradients.values())
    expected = {name[5:]: value for name, value in truth.items() if name.startswith("grad/")}
    assert len(expected) == 8
    for name, value in expected.items():
        assert_near(cast(Tensor, gradients[name]), value, name, GRADIENT)


def test_three_steps_of_a_training() -> None:
    start, truth = tensors("conmh_forward"), tensors("conmh_steps")
    trained = stage(start)
    training = Training(trained.network, trained.objective, trained.schedule, FitContext(0), trained.name)
    for videos, masked, expected in zip(truth["x"], truth["mask"], truth["losses"], strict=True):
        with SilentProgress().task("", 1) as task:
            row = training.epoch(0, [batch(videos, masked)], task)
        assert row["loss"] == pytest.approx(expected.item(), rel=1e-5)
    assert {group["lr"] for group in training.optimiser.param_groups} == {truth["learning_rate"].item()}
    state = {NAMES[name]: value for name, value in trained.network.state_dict().items()}
    after = {name[6:]: value for name, value in truth.items() if name.startswith("after/")}
    assert len(after) == 6
    for name, value in after.items():
        assert_near(state[name], value, name, AFTER)
        # The steps are larger than the tolerance.
        assert (start[f"weight/{name}"] - value).abs().max() > 2 * AFTER * value.abs().max(), name


def test_the_rates_of_the_default_schedule() -> None:
    parameters = ConmhParameters()
    rates = [parameters.rate(epoch) for epoch in range(500)]
    np.testing.assert_allclose(rates, golden("conmh_steps")["rates"], rtol=1e-9)


def test_the_authors_values_for_fcvid() -> None:
    found = ConmhParameters().model_dump(include={"epochs", "batch_size", "mask_ratio", "contrastive_weight",
                                                  "temperature", "tau_plus"})  # fmt: skip
    assert found == {"epochs": 800, "batch_size": 512, "mask_ratio": 0.75, "contrastive_weight": 1.0,
                     "temperature": 0.5, "tau_plus": 0.1}  # fmt: skip


@pytest.mark.parametrize(("videos", "expected"), [(9_999, 128), (10_000, 512)])
def test_small_training_sets_have_small_batches(videos: int, expected: int, tiny: Dataset) -> None:
    summary = tiny.summary.model_copy(update={"train_videos": videos})
    assert resolve_parameters(Conmh, summary, {}, {}).model_dump()["batch_size"] == expected


@pytest.mark.parametrize(
    ("frames", "ratio", "seen"),
    [(25, 0.75, 7), (25, 0.5, 13), (25, 0.7, 8), (30, 0.5, 15), (30, 0.75, 8), (2, 0.5, 1)],
)
def test_views_come_from_one_shuffle(frames: int, ratio: float, seen: int) -> None:
    views = draw_views(np.random.default_rng(0), 4000, frames, ratio)
    assert views.visible.shape == (4000, 2, seen)
    assert views.visible.dtype == views.hidden.dtype == np.int64
    assert (np.diff(views.visible) > 0).all()
    assert (np.diff(views.hidden) > 0).all()
    both = np.sort(np.concatenate([views.visible, views.hidden], axis=2), axis=2)
    assert (both == np.arange(frames)).all()
    shared = [len(np.intersect1d(first, second)) for first, second in views.visible[:200]]
    assert set(shared) == {max(0, 2 * seen - frames)}
    # Every frame is as likely to be seen; within five standard deviations.
    share = seen / frames
    for view in (0, 1):
        counts = np.bincount(views.visible[:, view].ravel(), minlength=frames)
        assert (np.abs(counts - 4000 * share) < 5 * np.sqrt(4000 * share * (1 - share))).all()


def test_a_draw_names_its_videos_and_their_views() -> None:
    (trained,) = stages_of("conmh", 8, 10, 6, hidden=16, heads=2, depth=1, mask_ratio=0.5)
    videos = np.array([3, 5, 4])
    drawn = trained.objective.draw(videos, np.arange(60), np.random.default_rng(1))
    np.testing.assert_array_equal(drawn.videos["video"], videos)
    expected = draw_views(np.random.default_rng(1), 3, 10, 0.5)
    np.testing.assert_array_equal(drawn.values["visible"], expected.visible)
    np.testing.assert_array_equal(drawn.values["hidden"], expected.hidden)
    assert not drawn.corruption
