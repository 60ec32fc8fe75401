"""AutoSSVH's objective: the authors' losses and training steps, and what it does from epoch to epoch."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest
import torch
from bench.methods.autossvh import objective as module
from bench.methods.autossvh.network import GradedAutoencoder
from bench.methods.autossvh.objective import AutoSsvhObjective
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.progress import SilentProgress
from bench.learning.context import FitContext
from bench.learning.items import Batch
from bench.learning.loop import Training, TrainingError
from tests.learning.stages import Stage, stages_of
from tests.methods.autossvh import prototypes, settings, weights
from tests.methods.masked import assert_near, frame_numbers, golden, tensors

GRADIENT_PRECISION, WEIGHT_PRECISION = 2e-5, 1e-4


def stage(**others: Any) -> Stage:
    """What `bench run` trains, with the weights of the forward file."""
    (found,) = stages_of("autossvh", 16, 25, 48, **settings(**others))
    found.network.load_state_dict(weights(found.network, tensors("autossvh_forward")))
    return found


def objective_of(found: Stage) -> AutoSsvhObjective:
    assert isinstance(found.objective, AutoSsvhObjective)
    return found.objective


def batch_of(videos: Tensor, mask: Tensor, values: dict[str, Tensor] | None = None) -> Batch:
    visible, hidden = frame_numbers(mask)
    return Batch({"video": videos}, {}, {"visible": visible, "hidden": hidden} | (values or {}))


def under(truth: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """What a file has of some of the weights, by the authors' names."""
    found = {name.removeprefix(f"{prefix}/"): value for name, value in truth.items() if name.startswith(f"{prefix}/")}
    assert found
    return found


def own(index: Tensor) -> dict[str, Tensor]:
    """Each video's own prototypes, by its number in the training set of the clusters file."""
    truth = tensors("autossvh_clusters")
    return {f"own{number}": truth[f"assignments{number}"][index] for number in range(3)}


class Passed(nn.Module):
    """Hands over the codes and restored frames of the losses file as those of both views."""

    def forward(self, videos: Tensor, visible: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        truth = tensors("autossvh_losses")
        targets = torch.take_along_dim(videos[:, None], hidden[..., None], dim=2)
        codes, restored = (
            torch.stack([truth[f"{name}{view}"] for view in (1, 2)], dim=1) for name in ("frame_codes", "restored")
        )
        return codes.mean(dim=2).flatten(0, 1), restored.flatten(0, 1), targets.flatten(0, 1)


def test_losses_of_the_authors() -> None:
    truth = tensors("autossvh_losses")
    found = objective_of(stage())
    found.network = cast(Any, Passed())
    values = {
        f"negatives{number}": torch.stack([truth[f"negatives{view}_{number}"] for view in (1, 2)])
        for number in range(3)
    }
    batch = batch_of(truth["x"], truth["mask"], values | own(truth["index"]))
    names = {"reconstruction": "reconstruction", "contrastive": "view", "loss": "total_before_warmup"}
    losses = found.loss(batch, 0)
    for ours, theirs in names.items():
        assert_near(losses[ours], truth[theirs].float(), ours)
    assert losses["prototype"] == 0
    found.prototypes = prototypes(truth)
    losses = found.loss(batch, 100)
    for ours, theirs in (names | {"prototype": "prototype", "loss": "total"}).items():
        assert_near(losses[ours], truth[theirs].float(), ours)


def test_loss_and_gradients_of_the_authors() -> None:
    truth = tensors("autossvh_forward")
    found = stage()
    loss = found.objective.loss(batch_of(truth["x"], truth["mask"]), 0)["loss"]
    assert_near(loss, truth["total"])
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {found.authors.names[name]: weight.grad for name, weight in found.network.named_parameters()}
    assert all(gradient is not None for gradient in gradients.values())
    for name, expected in under(truth, "grad").items():
        assert_near(cast(Tensor, gradients[name]), expected, name, GRADIENT_PRECISION)


def test_three_steps_of_the_authors() -> None:
    truth = tensors("autossvh_steps")
    found = stage(learning_rate=float(truth["learning_rate"]))
    objective_of(found).prototypes = prototypes(tensors("autossvh_clusters"))
    training = Training(found.network, found.objective, found.schedule, FitContext(0), "steps")
    for step, expected in enumerate(truth["losses"]):
        drawn = truth["negatives"][step].view(2, 3, -1)
        negatives = {
            # Both views have as many.
            f"negatives{number}": torch.stack([drawn[view, number][drawn[view, number] >= 0] for view in range(2)])
            for number in range(3)
        }
        batch = batch_of(truth["x"][step], truth["mask"][step], negatives | own(truth["index"][step]))
        with SilentProgress().task("", 1) as task:
            row = training.epoch(0, [batch], task)
        assert row["loss"] == pytest.approx(float(expected), rel=1e-5), f"step {step}"
    after = {found.authors.names[name]: value for name, value in found.network.state_dict().items()}
    for name, expected in under(truth, "after").items():
        assert_near(after[name], expected, name, WEIGHT_PRECISION)


def encoding(videos: NDArray[np.float32]) -> Callable[..., NDArray[np.float32]]:
    """What the loop gives `begin_epoch` to encode the training videos with."""

    def encode(forward: Any) -> NDArray[np.float32]:
        with torch.no_grad():
            found: NDArray[np.float32] = forward(torch.from_numpy(videos)).numpy()
        return found

    return encode


@pytest.fixture
def clustered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, ...]]]:
    """What clusters are sought in: features, number of clusters, seed, vote, device."""
    seen: list[tuple[Any, ...]] = []
    find = module.find_prototypes

    def spy(*arguments: Any) -> Any:
        seen.append(arguments)
        return find(*arguments)

    monkeypatch.setattr(module, "find_prototypes", spy)
    yield seen


def test_features_that_are_clustered(clustered: list[tuple[Any, ...]]) -> None:
    truth = golden("autossvh_clusters")
    found = objective_of(stage(clusters=[2, 3, 4], warm_up_epochs=5))
    found.network.eval()
    encode = encoding(truth["features_x"])
    found.begin_epoch(4, encode, np.random.default_rng(0))
    assert not clustered
    assert "own0" not in found.draw(np.arange(3), np.arange(6), np.random.default_rng(0)).values
    found.begin_epoch(5, encode, np.random.default_rng(0))
    for features, *_ in clustered:
        assert_near(torch.from_numpy(features), torch.from_numpy(truth["features"]))
    assert [clusters for _, clusters, *_ in clustered] == [2, 3, 4]
    # Each granularity has a seed of its own, and each epoch.
    found.begin_epoch(6, encode, np.random.default_rng(1))
    assert len({seed for _, _, seed, *_ in clustered}) == 6
    drawn = found.draw(np.arange(3), np.arange(6), np.random.default_rng(0)).values
    for number, own_prototypes in enumerate(found.prototypes):
        np.testing.assert_array_equal(drawn[f"own{number}"], own_prototypes.assignment[:3])
        assert drawn[f"negatives{number}"].shape[0] == 2


def test_validation_compares_from_the_end_of_the_warm_up() -> None:
    assert objective_of(stage(epochs=350)).comparable_from == 50


def test_codes_that_are_not_finite() -> None:
    found = objective_of(stage(warm_up_epochs=0))
    videos = np.full((6, 25, 48), np.nan, np.float32)
    with pytest.raises(TrainingError, match="the codes that epoch 7 is to cluster are not finite; lower learning_rate"):
        found.begin_epoch(7, encoding(videos), np.random.default_rng(0))


def test_graded_views_restore_all_frames_and_every_weight_learns() -> None:
    truth = tensors("autossvh_forward")
    found = stage(sampler="grade")
    drawn = found.objective.draw(np.arange(6), np.arange(6), np.random.default_rng(0))
    assert {name: value.shape for name, value in drawn.values.items()} == {"noise": (6, 2, 25)}
    batch = Batch({"video": truth["x"]}, {}, {"noise": torch.from_numpy(drawn.values["noise"])})
    losses = found.objective.loss(batch, 0)
    assert isinstance(found.network, GradedAutoencoder)
    _, restored = found.network.forward_graded(truth["x"], batch.values["noise"], 13)
    errors = [(restored[view::2] - truth["x"]).square().mean() for view in (0, 1)]
    assert_near(losses["reconstruction"], (errors[0] + errors[1]).detach())
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    for name, parameter in found.network.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.any(), name
