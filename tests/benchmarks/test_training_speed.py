"""How fast training is, beside a plain implementation of the papers' descriptions: frames of 4096 features, 64 bits.

    pytest tests/benchmarks/test_training_speed.py --benchmark-only -s

`VHBENCH_BATCH=256` gives the papers' batch (the default of 64 is quicker, and the ratios hardly differ). Plain is what
one would write first: every video of an item passes the plain network by itself, torch's own dropout and Adam. End to
end it loads items one by one in one worker process, as the authors' code does.
"""

import copy
import os
from collections.abc import Callable

import numpy as np
import pytest
import torch
from bench.methods.bth import Bth, BthParameters
from bench.methods.bth.network import BthNetwork
from bench.methods.mcmsh import Mcmsh, McmshParameters, total_loss
from bench.methods.mcmsh.losses import quadruplet_loss, quantisation_loss
from bench.methods.mcmsh.mixer import McMlp
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from bench.base.process_state import limited_threads
from bench.data.features import ArrayFeatures
from bench.learning.context import FitContext
from bench.learning.deep_method import DeepMethod
from bench.learning.items import Batch
from bench.learning.layers import Dropout, cluster_loss, similarity_loss
from bench.learning.loop import train
from bench.learning.objective import Objective
from bench.learning.schedule import Schedule

FRAMES, DIMENSIONS, BITS = 25, 4096, 64
BATCH = int(os.environ.get("VHBENCH_BATCH", "64"))
Compare = Callable[[Callable[[], object], Callable[[], object], int], float]


def objective_of(method: DeepMethod, videos: int) -> tuple[nn.Module, Objective, ArrayFeatures]:
    """A network, its objective and random features of a paper's size."""
    random = np.random.default_rng(0)
    features = ArrayFeatures(np.maximum(random.standard_normal((videos, FRAMES, DIMENSIONS), dtype=np.float32), 0))
    context = FitContext(0)
    context.seed_torch("weights")
    network = method.network(FRAMES, DIMENSIONS).train()
    return network, method.objective(network, features, context), features


def batch_of(objective: Objective, features: ArrayFeatures, dtype: torch.dtype = torch.float32) -> Batch:
    draw = objective.draw(np.arange(BATCH) % len(features), np.arange(len(features)), np.random.default_rng(1))
    videos = {name: torch.from_numpy(features.read(rows)).to(dtype) for name, rows in draw.videos.items()}
    corrupted = {
        name: plan.apply(
            videos[name], torch.from_numpy(features.read_frames(plan.source_video, plan.source_frame)).to(dtype)
        )
        for name, plan in draw.corruption.items()
    }
    return Batch(videos, corrupted, {name: torch.from_numpy(value) for name, value in draw.values.items()})


def with_torch_dropout(network: nn.Module) -> nn.Module:
    """A copy with torch's own dropout."""
    plain = copy.deepcopy(network)
    for module in list(plain.modules()):
        for name, child in module.named_children():
            if isinstance(child, Dropout):
                setattr(module, name, nn.Dropout(child.p))
    return plain


def plain_mcmsh_loss(network: McMlp, videos: list[Tensor], values: dict[str, Tensor]) -> Tensor:
    """The loss of MCMSH (Hao et al., ACM MM 2022, sections 3.3 and 3.4), one video of the items after the other."""
    frames = [network.frames(each) for each in videos]
    codes = [network.relaxed(each) for each in frames]
    parts = {
        "cluster": cluster_loss(frames[0], frames[1], values["centre_first"], values["centre_second"]),
        "similarity": similarity_loss(codes[0], codes[1], values["sign"]),
        "quantisation": quantisation_loss(codes[0], codes[1]),
        "quadruplet": quadruplet_loss(codes[0], codes[2], codes[3], codes[4]),
    }
    return total_loss(parts, McmshParameters())


def plain_bth_loss(network: nn.Module, batch: Batch) -> Tensor:
    """The loss of BTH (Li et al., CVPR 2021), one video of the items after the other."""
    parameters, names = BthParameters(), ("first", "second")
    passed = [network(batch.corrupted[name]) for name in names]
    restored = [nn.functional.mse_loss(each[2], batch.videos[name]) for each, name in zip(passed, names, strict=True)]
    similarity = similarity_loss(passed[0][1].mean(dim=1), passed[1][1].mean(dim=1), batch.values["sign"])
    anchor = cluster_loss(passed[0][0], passed[1][0], batch.values["anchor_first"], batch.values["anchor_second"])
    return (parameters.reconstruction_weight * torch.stack(restored).mean()
            + parameters.similarity_weight * similarity + parameters.anchor_weight * anchor)  # fmt: skip


def step(optimiser: torch.optim.Optimizer, loss: Callable[[], Tensor]) -> Callable[[], None]:
    def once() -> None:
        optimiser.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return once


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_step_of_mcmsh(compare: Compare, precision: str) -> None:
    network, objective, features = objective_of(Mcmsh(BITS, McmshParameters(anchors=10)), max(BATCH, 64))
    assert isinstance(network, McMlp)
    batch = batch_of(objective, features)
    plain = with_torch_dropout(network)
    assert isinstance(plain, McMlp)
    names = ("similar", "dissimilar1", "dissimilar2")
    videos = [batch.corrupted["first"], batch.corrupted["second"], *(batch.videos[name] for name in names)]
    plainly = step(
        torch.optim.Adam(plain.parameters(), 3e-4), lambda: plain_mcmsh_loss(plain, videos, dict(batch.values))
    )
    rounded = batch_of(objective, features, getattr(torch, precision))

    def loss() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            return objective.loss(rounded, 0)["loss"]

    compare(step(torch.optim.Adam(network.parameters(), 3e-4, fused=True), loss), plainly, 5)


def test_the_step_against_its_matrix_products(compare: Compare) -> None:
    """How far a step on one thread, as in a run, is from its products alone: forward, and two of the size backward."""
    network, objective, features = objective_of(Mcmsh(BITS, McmshParameters(anchors=10)), max(BATCH, 64))
    batch = batch_of(objective, features)
    rows, hidden = 5 * BATCH * FRAMES, 256
    x, weight, out = torch.randn(rows, DIMENSIONS), torch.randn(hidden, DIMENSIONS), torch.randn(rows, hidden)
    # What is left of MC-MLP's 46.05 million multiply-adds a video after the projection, as square products.
    square = torch.randn(hidden, hidden)
    left = round((46_051_156 - FRAMES * DIMENSIONS * hidden) / (FRAMES * hidden * hidden))

    def products() -> None:
        # Features need no gradient: the projection has one product backward, the others have two.
        torch.mm(x, weight.T), torch.mm(out.T, x)
        for _ in range(left * 3):
            torch.mm(out, square)

    optimiser = torch.optim.Adam(network.parameters(), 3e-4, fused=True)
    with limited_threads(1):
        compare(step(optimiser, lambda: objective.loss(batch, 0)["loss"]), products, 5)


def test_a_training_step_of_bth(compare: Compare) -> None:
    network, objective, features = objective_of(Bth(BITS, BthParameters(anchors=10, epochs=1)), max(BATCH, 64))
    assert isinstance(network, BthNetwork)
    batch = batch_of(objective, features)
    plain = with_torch_dropout(network)
    ours = step(torch.optim.Adam(network.parameters(), 3e-4, fused=True), lambda: objective.loss(batch, 0)["loss"])
    compare(ours, step(torch.optim.Adam(plain.parameters(), 3e-4), lambda: plain_bth_loss(plain, batch)), 5)


class OneByOne(Dataset[tuple[Tensor, ...]]):
    """Items as the authors' loader makes them: one video and one frame at a time."""

    def __init__(self, features: np.ndarray, centres: np.ndarray) -> None:
        self._features, self._centres = features, centres
        self._random = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self._features)

    def _corrupted(self, video: int) -> np.ndarray:
        frames = self._features[video].copy()
        for number in range(len(frames)):
            if self._random.random() < 0.15:
                fate = self._random.random()
                if fate < 0.8:
                    frames[number] = 0
                elif fate < 0.9:
                    frames[number] = self._features[self._random.integers(len(self))][self._random.integers(FRAMES)]
        return frames

    def __getitem__(self, video: int) -> tuple[Tensor, ...]:
        partner, *others = self._random.integers(0, len(self), 4)
        videos = [self._corrupted(video), self._corrupted(partner), *(self._features[other] for other in others)]
        centres = self._centres[video], self._centres[partner]
        sign = np.float32(1 if self._random.random() < 0.5 else -1)
        return tuple(torch.from_numpy(np.asarray(part)) for part in (*videos, *centres, sign))


def test_an_epoch_of_mcmsh_with_its_data(compare: Compare) -> None:
    videos = 4 * BATCH
    method = Mcmsh(BITS, McmshParameters(anchors=10))
    network, objective, features = objective_of(method, videos)
    plain = with_torch_dropout(network)
    assert isinstance(plain, McMlp)
    array = features.read_slice(0, videos)
    loader = DataLoader(OneByOne(array, np.zeros((videos, 256), np.float32)), BATCH, shuffle=True, num_workers=1)
    optimiser = torch.optim.Adam(plain.parameters(), 3e-4)

    def plainly() -> None:
        for *five, first, second, sign in loader:
            values = {"centre_first": first, "centre_second": second, "sign": sign}
            optimiser.zero_grad()
            plain_mcmsh_loss(plain, five, values).backward()  # type: ignore[no-untyped-call]
            optimiser.step()

    schedule = Schedule.model_validate({"epochs": 1, "batch_size": BATCH})
    compare(lambda: train(network, objective, features, schedule, FitContext(0), "speed"), plainly, 3)
