"""SSTH's and SSVH's losses and updates, against outputs of the authors' code, by the loop that trains."""

from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.shared.momentum import ClippedMomentum
from bench.methods.ssth import Ssth, SsthObjective, SsthParameters
from bench.methods.ssvh.objective import SsvhObjective
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.progress import SilentProgress
from bench.data.features import ArrayFeatures
from bench.learning.context import FitContext
from bench.learning.items import Batch
from bench.learning.loop import Training, train
from bench.learning.objective import Objective
from tests.methods.masked import assert_near, tensors
from tests.methods.recurrent import METHODS, built, names, network, similar_of

LIMIT = 1e-4


class Steps:
    """A training of a golden file, one batch at a time."""

    def __init__(self, method: str, truth: dict[str, Tensor], **parameters: Any) -> None:
        self.truth, self.theirs = truth, names(method).names
        given = {"crossed_forward": True} if method == "ssvh" else {}
        own: Any = built(method, **given | parameters, learning_rate=float(truth["learning_rate"])).parameters
        self.network = network(method, truth, **parameters).train()
        self.videos = truth["index"].numpy().astype(np.int64) if method == "ssvh" else np.arange(len(truth["x"]))
        self.objective: Any = (
            SsvhObjective(self.network, own, similar_of(truth["similar"]), truth["memory"].clone())
            if method == "ssvh"
            else SsthObjective(self.network, own)
        )
        self.training = Training(self.network, self.objective, own, FitContext(0), method)

    def batch(self, name: str = "x") -> Batch:
        drawn = self.objective.draw(self.videos, self.videos, np.random.default_rng(0))
        values = {key: torch.from_numpy(value) for key, value in drawn.values.items()}
        return Batch({"video": self.truth[name]}, {}, values, {"video": torch.from_numpy(self.videos)})

    def update(self, name: str) -> dict[str, float]:
        with SilentProgress().task("", 1) as task:
            return self.training.epoch(0, [self.batch(name)], task)

    def require_losses(self, losses: dict[str, Any]) -> None:
        """Sums in the file, means over the videos here."""
        known = {"backward": "backward_error", "forward": "forward_error", "mean": "mean_error"}
        known |= {name: name for name in ("pairwise", "reconstruction") if name in losses}
        for ours, theirs in known.items():
            expected = float(self.truth[theirs]) / len(self.videos)
            assert torch.as_tensor(losses[ours]).item() == pytest.approx(expected, rel=1e-5), ours
        # The file's total holds the weights' squares too, which the optimiser adds to the gradient.
        expected = float(self.truth["total"] - self.truth["l2"]) / len(self.videos)
        assert torch.as_tensor(losses["loss"]).item() == pytest.approx(expected, rel=1e-5)

    def require_gradients(self) -> None:
        """Of the total, after a backward pass."""
        expected = {name[9:]: value for name, value in self.truth.items() if name.startswith("gradient/")}
        found = {
            self.theirs[name]: weight.grad + 1e-4 * weight.detach() for name, weight in self.network.named_parameters()
        }
        largest = max(float(value.abs().max()) for value in expected.values())
        for name in found.keys() & expected.keys():
            scale = max(float(expected[name].abs().max()), largest / 1000)
            assert float((found[name] - expected[name]).abs().max()) <= 1e-4 * scale, name


@pytest.mark.parametrize("method", METHODS)
def test_losses_and_their_gradients(method: str) -> None:
    steps = Steps(method, tensors(f"{method}_step"))
    losses = steps.objective.loss(steps.batch(), 0)
    steps.require_losses(losses)
    losses["minimised"].backward()
    steps.require_gradients()


def test_a_forward_decoder_with_states_of_its_own() -> None:
    """What the file leaves out is as in the crossed one."""
    truth = tensors("ssvh_step")
    own = tensors("ssvh_step_uncrossed")
    steps = Steps("ssvh", truth | own, crossed_forward=False)
    losses = steps.objective.loss(steps.batch(), 0)
    steps.require_losses(losses)
    losses["minimised"].backward()
    steps.require_gradients()


@pytest.mark.parametrize("method", METHODS)
def test_two_updates(method: str) -> None:
    truth = tensors(f"{method}_step")
    steps = Steps(method, truth)
    steps.require_losses(steps.update("x"))
    state = {steps.theirs[name]: value for name, value in steps.network.state_dict().items()}
    statistics = {name: value for name, value in state.items() if "running" in name}
    for name, value in statistics.items():
        assert_near(value, truth[f"after1/{name}"], name)
    if method == "ssvh":
        assert_near(steps.objective.memory, truth["memory_after1"])
        # The file's second update begins with the first memory.
        steps.objective.memory.copy_(truth["memory"])
    steps.update("x_second")
    for name, value in statistics.items():
        assert_near(value, truth[f"after2/{name}"], name)
    clipped = 0
    for name, weight in steps.network.named_parameters():
        theirs = steps.theirs[name]
        velocity = steps.training.optimiser.state[weight]["velocity"]
        assert float((velocity - truth[f"velocity2/{theirs}"]).abs().max()) <= 5e-3 * LIMIT, name
        assert float((weight.detach() - truth[f"after2/{theirs}"]).abs().max()) <= 5e-3 * LIMIT, name
        clipped += int((velocity.abs() == velocity.abs().new_tensor(LIMIT)).sum())
    assert 0 < clipped < sum(weight.numel() for weight in steps.network.parameters())


def test_momentum_by_hand() -> None:
    """From 0 with slopes 1 and 3 and a weight decay of ½: the second step is clipped, and remembered so."""
    weight = nn.Parameter(torch.zeros(1))
    optimiser = ClippedMomentum([weight], lr=0.1, momentum=0.5, limit=0.2, weight_decay=0.5)
    seen = []
    for slope in (1.0, 3.0, -1.0):
        weight.grad = torch.tensor([slope])
        optimiser.step()
        seen.append(weight.item())
    # −0.1; −0.05 − 0.1·(3 − 0.05) beyond −0.2; −0.1 − 0.1·(−1 − 0.15) = 0.015.
    assert seen == pytest.approx([-0.1, -0.3, -0.285], abs=1e-6)


def test_the_rate_of_an_update() -> None:
    for method, first in (("ssth", 1e-3), ("ssvh", 1e-4)):
        own: Any = built(method).parameters
        assert own.update_rate(0, 0) == first
        assert own.update_rate(0, 20_000) == pytest.approx(first * 0.81)
        assert own.update_rate(3, 5_000) == pytest.approx(first * 0.9**0.5)


@pytest.mark.parametrize(
    ("videos", "epochs", "most", "updates"),
    [(45_585, None, 20_000, 20_000), (9_537, None, 20_000, 20_000), (45_585, 2, 20_000, 912), (45_585, None, 7, 7)],
)
def test_the_length_of_a_training(videos: int, epochs: int | None, most: int, updates: int) -> None:
    """On FCVID's 45,585 videos, 20,000 updates of 100 are 43.9 epochs."""
    found = Ssth.defaults((videos, 25, 4096)) if epochs is None else {"epochs": epochs}
    assert videos != 45_585 or epochs is not None or found == {"epochs": 44}
    own = SsthParameters.model_validate(found | {"updates": most})
    assert own.length(len(own.batches(videos))) == updates


class Noting(Objective):
    """SSTH's objective, with the number of videos in every batch."""

    def __init__(self, inner: SsthObjective) -> None:
        self.inner, self.sizes = inner, list[int]()

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Any:
        return self.inner.draw(videos, among, random)

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        self.sizes.append(len(batch))
        return self.inner.loss(batch, epoch)


def test_training_ends_with_its_last_update() -> None:
    """Batches of 4, 4 and 1 of 9 videos: the last is left out, and the fifth update is the first of the third epoch."""
    own = built("ssth", 4, batch_size=4, updates=5, epochs=10)
    features = ArrayFeatures(np.random.default_rng(0).random((9, 3, 6), np.float32))
    model: Any = own.network(3, 6)
    objective, context = Noting(own.objective(model, features, FitContext(0))), FitContext(0)
    train(model, objective, features, own.parameters, context, "stage")
    assert objective.sizes == [4] * 5
    assert len(context.history) == 3
    assert set(context.history[0]) == {"epoch", "loss", "backward", "forward", "mean"}
