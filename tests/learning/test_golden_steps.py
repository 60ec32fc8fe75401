"""Whole training steps against those of the authors' own code, through the objects that `bench run` trains with.

Sizes come from the shapes in the files, epochs from their keys: files of other seeds and sizes test the same.
All dropout is off, as in the files. Tolerances are those of float32 against float64.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.base.progress import SilentProgress
from bench.learning.context import FitContext
from bench.learning.items import Batch
from bench.learning.loop import Training
from tests.conftest import GOLDEN
from tests.learning.stages import Stage, stages_of, without_dropout

Truth = dict[str, NDArray[Any]]
LOSS_TOLERANCE, WEIGHT_TOLERANCE, STATISTIC_TOLERANCE = 1e-5, 2e-5, 1e-5
GRADIENT_TOLERANCE = {"mcmsh": 1e-4, "bth": 1e-5}
"""Of the largest number of an array."""
KEY_BIAS = "encoder.attention.key.bias"
"""Softmax ignores it: its gradient is rounding, which Adam blows up."""
PARTS = {"quantisation": "quantization", "loss": "total"}
"""The authors' names of losses, where they differ."""

MCMSH_STEPS = [("epoch0", 0), ("epoch3", 3)]
# The epoch enters BTH only through the rate.
BTH_STEPS = [
    ("corrupted_target", 1, True, 0),
    ("corrupted_target", 1, True, 3),
    ("clean_target", 1, False, 0),
    ("stage1_corrupted_target", 0, True, 0),
    ("stage1_clean_target", 0, False, 0),
]
BTH_TRAININGS = [
    ("steps", 1, True),
    ("epochs", 1, True),
    ("steps_clean_target", 1, False),
    ("stage1_steps_clean_target", 0, False),
]


def files(method: str) -> list[Path]:
    """The golden files of a method's steps."""
    found = sorted(GOLDEN.glob(f"{method}_step*.npz"))
    assert found
    return found


def read(path: Path) -> Truth:
    with np.load(path) as arrays:
        return dict(arrays)


def under(truth: Truth, prefix: str) -> Truth:
    """What stands below `prefix/`."""
    return {name.removeprefix(f"{prefix}/"): value for name, value in truth.items() if name.startswith(f"{prefix}/")}


def mcmsh_stage(truth: Truth) -> Stage:
    """MCMSH's training with the file's weights."""
    weights = under(truth, "weight")
    hidden, dimensions = weights["mc_mlp.preproj.weight"].shape
    frames = truth["batch0/double_video_feat"].shape[1] // 2
    (stage,) = stages_of("mcmsh", len(weights["binary.weight"]), frames, dimensions, hidden=hidden)
    return ready(stage, weights)


def mcmsh_batch(truth: Truth, number: int) -> Batch:
    batch = under(truth, f"batch{number}")
    first, second = halves(batch["double_video_feat"], 2)
    similar, dissimilar1, dissimilar2 = halves(batch["triple_video_feat"], 3)
    clean_first, clean_second = halves(batch["clean_double"], 2)
    return Batch(
        videos={
            "first": clean_first,
            "second": clean_second,
            "similar": similar,
            "dissimilar1": dissimilar1,
            "dissimilar2": dissimilar2,
        },
        corrupted={"first": first, "second": second},
        values={
            "sign": torch.from_numpy(batch["is_similar"]),
            "centre_first": torch.from_numpy(batch["n1"]),
            "centre_second": torch.from_numpy(batch["n2"]),
        },
    )


def bth_stage(truth: Truth, number: int, corrupted_target: bool) -> Stage:
    """One of BTH's two trainings with the file's weights."""
    weights = under(truth, "weight")
    hidden, dimensions = weights["bert.embedding.frame_map.weight"].shape
    frames = truth["batch0/mask_input"].shape[1] // 2
    stages = stages_of("bth", len(weights["binary.weight"]), frames, dimensions, hidden=hidden,
                       reconstruct_corrupted=corrupted_target)  # fmt: skip
    return ready(stages[number], weights)


def bth_batch(truth: Truth, number: int, stage: int) -> Batch:
    batch = under(truth, f"batch{number}")
    corrupted, clean = halves(batch["mask_input"], 2), halves(batch["clean_word"], 2)
    if stage == 0:
        # The file restores both videos of the pairs; ours every video of the set by itself.
        return Batch({"first": torch.cat(clean)}, {"first": torch.cat(corrupted)}, {})
    names = ("first", "second")
    return Batch(
        videos=dict(zip(names, clean, strict=True)),
        corrupted=dict(zip(names, corrupted, strict=True)),
        values={
            "sign": torch.from_numpy(batch["is_similar"]),
            "anchor_first": torch.from_numpy(batch["n1"]),
            "anchor_second": torch.from_numpy(batch["n2"]),
        },
    )


def halves(videos: NDArray[np.float32], parts: int) -> tuple[Tensor, ...]:
    """Videos that stand one after the other on the frame axis."""
    return torch.from_numpy(videos).chunk(parts, dim=1)


def ready(stage: Stage, weights: Truth) -> Stage:
    """The stage with the authors' weights and without dropout."""
    state = stage.network.state_dict()
    theirs = dict(authors_arrays(stage, weights, state))
    assert {name for name in state if name not in theirs} <= {"alpha"}
    stage.network.load_state_dict(state | theirs)
    without_dropout(stage.network)
    return stage


def authors_arrays(stage: Stage, theirs: Truth, ours: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Our names with the authors' arrays, whose 1×1 convolutions are linear layers of ours."""
    names = {their: our for our, their in stage.authors.names.items()}
    left = set(theirs) - stage.authors.unused
    assert left <= set(names), "arrays that nothing of ours answers to"
    for name in sorted(left):
        yield names[name], torch.from_numpy(theirs[name]).reshape(ours[names[name]].shape)


def check_step(stage: Stage, batch: Batch, truth: Truth, epoch: int) -> None:
    """Parts, total and gradients of one step."""
    stage.network.train()
    losses = stage.objective.loss(batch, epoch)
    for name, value in losses.items():
        np.testing.assert_allclose(value.item(), truth[PARTS.get(name, name)], LOSS_TOLERANCE, err_msg=name)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    weights = dict(stage.network.named_parameters())
    expected = dict(authors_arrays(stage, under(truth, "gradient"), stage.network.state_dict()))
    assert set(expected) == {name for name, weight in weights.items() if weight.grad is not None}
    for name, gradient in expected.items():
        found = weights[name].grad
        assert found is not None
        if name == KEY_BIAS:
            assert found.abs().max() < 1e-7
            continue
        error = (found - gradient).abs().max() / gradient.abs().max()
        assert error < GRADIENT_TOLERANCE[stage.method], f"gradient of {name}: {error:.1e}"


def check_training(stage: Stage, batch: Callable[[int], Batch], truth: Truth, prefix: str) -> None:
    """Three steps of the loop: losses, rates, and what weights and statistics are after."""
    expected = under(truth, prefix)
    epochs = expected.get("epoch", np.zeros(3, np.int64))
    training = Training(stage.network, stage.objective, stage.schedule, FitContext(0), "stage")
    begun = {name: value.clone() for name, value in stage.network.state_dict().items()}
    for epoch in np.unique(epochs):
        steps = np.flatnonzero(epochs == epoch)
        with SilentProgress().task("", len(steps)) as task:
            row = training.epoch(int(epoch), map(batch, steps.tolist()), task)
        (rate,) = {group["lr"] for group in training.optimiser.param_groups}
        assert rate == pytest.approx(expected["rate"][steps].mean(), rel=1e-12)
        for name in row.keys() - {"epoch"}:
            wanted = expected[PARTS.get(name, name)][steps].mean()
            np.testing.assert_allclose(row[name], wanted, LOSS_TOLERANCE, err_msg=f"{name} in epoch {epoch}")
    state = stage.network.state_dict()
    if "alpha" in expected:
        assert state["alpha"].item() == pytest.approx(expected["alpha"][-1], rel=1e-6)
    after = dict(authors_arrays(stage, under(expected, "after"), state))
    assert set(state) - set(after) <= {"alpha"}
    for name, wanted in after.items():
        tolerance = STATISTIC_TOLERANCE if "running" in name else WEIGHT_TOLERANCE
        if name == KEY_BIAS:
            assert (state[name] - begun[name]).abs().max() < 5e-5
            continue
        assert (state[name] - wanted).abs().max() <= tolerance, name
        assert not torch.equal(begun[name], wanted) or not wanted.is_floating_point(), f"{name} did not move"


@pytest.mark.parametrize("path", files("mcmsh"), ids=lambda path: path.stem)
@pytest.mark.parametrize(("prefix", "epoch"), MCMSH_STEPS)
def test_a_step_of_mcmsh(path: Path, prefix: str, epoch: int) -> None:
    truth = read(path)
    check_step(mcmsh_stage(truth), mcmsh_batch(truth, 0), under(truth, prefix), epoch)


@pytest.mark.parametrize("path", files("mcmsh"), ids=lambda path: path.stem)
@pytest.mark.parametrize("prefix", ["steps", "epochs"])
def test_a_training_of_mcmsh(path: Path, prefix: str) -> None:
    truth = read(path)
    check_training(mcmsh_stage(truth), lambda number: mcmsh_batch(truth, number), truth, prefix)


@pytest.mark.parametrize("path", files("bth"), ids=lambda path: path.stem)
@pytest.mark.parametrize(("prefix", "stage", "corrupted_target", "epoch"), BTH_STEPS)
def test_a_step_of_bth(path: Path, prefix: str, stage: int, corrupted_target: bool, epoch: int) -> None:
    truth = read(path)
    expected = under(truth, prefix)
    check_step(bth_stage(truth, stage, corrupted_target), bth_batch(truth, 0, stage), expected, epoch)


@pytest.mark.parametrize("path", files("bth"), ids=lambda path: path.stem)
@pytest.mark.parametrize(("prefix", "stage", "corrupted_target"), BTH_TRAININGS)
def test_a_training_of_bth(path: Path, prefix: str, stage: int, corrupted_target: bool) -> None:
    truth = read(path)
    check_training(bth_stage(truth, stage, corrupted_target), lambda number: bth_batch(truth, number, stage), truth,
                   prefix)  # fmt: skip
