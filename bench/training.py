"""The one training loop that all deep methods share, and what a deep method says to use it."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from bench.context import FitContext
from bench.corruption import FrameCorruption
from bench.data.features import Features
from bench.errors import InputError
from bench.method import Method, Parameters, Shape

# Features up to this size are kept on the training device; larger ones are read batch by batch.
RESIDENT_BYTES = 4 * 2**30


class TrainingError(RuntimeError):
    """Training went wrong in a way that no other input would have shown before, such as a loss of NaN."""


class Schedule(Parameters):
    """Epochs, batches and learning rate; the defaults are those of BTH and MCMSH (Adam, no weight decay)."""

    epochs: int = Field(56, ge=1)
    batch_size: int = Field(256, ge=2)
    learning_rate: float = Field(3e-4, gt=0)
    learning_rate_decay: float = Field(0.9, gt=0, le=1)
    learning_rate_decay_epochs: int = Field(20, ge=1)
    learning_rate_floor: float = Field(1e-4, ge=0)
    validation_share: float = Field(0.0, ge=0, le=0.5)
    """Share of the training videos that no step starts from; the epoch with the lowest loss on them is kept. 0: the
    last epoch is. Labels play no part. Held-out videos still count for anchors, and may be drawn as partners."""

    def held_out(self, videos: int) -> int:
        """How many of the training videos are held out."""
        return max(2, round(self.validation_share * videos)) if self.validation_share else 0

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch: decayed in steps down to the floor; a first rate below it stays."""
        decayed = self.learning_rate * self.learning_rate_decay ** (epoch // self.learning_rate_decay_epochs)
        return max(decayed, min(self.learning_rate_floor, self.learning_rate))


@dataclass(frozen=True)
class Draw:
    """What a batch of training items holds."""

    videos: Mapping[str, NDArray[np.int64]]
    """By name: indices (B,) of training videos to load."""
    values: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """By name: further numbers, first axis B."""
    corruption: Mapping[str, FrameCorruption] = field(default_factory=dict)
    """By the name of the videos: how to corrupt them."""


@dataclass(frozen=True)
class Batch:
    """A `Draw` with its videos loaded, on the training device."""

    videos: Mapping[str, Tensor]
    """By name, (B, T, D), as they are stored."""
    corrupted: Mapping[str, Tensor]
    """By name, (B, T, D), for those that the draw corrupts."""
    values: Mapping[str, Tensor]


class Objective(Protocol):
    """What a network is trained for."""

    def draw(self, videos: NDArray[np.int64], random: np.random.Generator) -> Draw:
        """What the training items of these videos (B,) hold."""

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        """The parts of the loss by name, `loss` the total that is minimised. `epoch` counts from 0."""


@dataclass(frozen=True)
class AuthorsWeights:
    """How a method's authors name the weights that they release."""

    names: Mapping[str, str]
    """Their name of every weight and statistic, by ours."""
    input_weight: str
    """Their name of the first matrix, (H, D)."""
    code_weight: str
    """Their name of the last matrix of the encoder, (K, H)."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Numbers that encoding needs and the file does not hold, with their meaning; buffers of these names."""
    unused: frozenset[str] = frozenset()
    """Their names of what they store and never use."""


class DeepMethod(Method):
    """A method that trains a network: it says the network, what to prepare, what an item holds and what the loss is."""

    parameters: Schedule
    authors: ClassVar[AuthorsWeights | None] = None
    """How the authors' released weights are named, if the method can read them."""

    @abstractmethod
    def network(self, frames: int, dimensions: int) -> nn.Module:
        """The network to train, with its initial weights."""

    @abstractmethod
    def objective(self, network: nn.Module, features: Features, context: FitContext) -> Objective:
        """What to train `network` for; everything that is prepared once a training set is prepared here."""

    def encoder(self, network: nn.Module) -> nn.Module:
        """The part of the network that encodes."""
        return network

    def check(self, shape: Shape) -> None:
        left = shape[0] - self.parameters.held_out(shape[0])
        if left < 2:
            raise InputError(
                f"{self.name} needs two training videos or more; {left} of {shape[0]} are left to train on"
            )

    def build(self, frames: int, dimensions: int) -> nn.Module:
        return self.encoder(self.network(frames, dimensions))

    def fit(self, features: Features, context: FitContext) -> nn.Module:
        _, frames, dimensions = features.shape
        context.seed_torch("weights")
        network = self.network(frames, dimensions).to(context.device)
        objective = self.objective(network, features, context)
        train(network, objective, features, self.parameters, context, self.name)
        return self.encoder(network)


class VideoLoader:
    """Training videos and single frames as tensors on the device."""

    def __init__(self, features: Features, device: torch.device) -> None:
        count, frames, dimensions = features.shape
        self._features, self._device = features, device
        fits = 4 * count * frames * dimensions <= RESIDENT_BYTES
        self._resident = torch.from_numpy(features[:]).to(device) if fits else None

    def videos(self, rows: NDArray[np.int64]) -> Tensor:
        """Videos (n, T, D)."""
        if self._resident is not None:
            return self._resident[torch.from_numpy(rows).to(self._device)]
        return torch.from_numpy(self._features[rows]).to(self._device)

    def frames(self, rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> Tensor:
        """Frame `numbers[i]` of video `rows[i]`, (n, D)."""
        if self._resident is not None:
            return self._resident[torch.from_numpy(rows).to(self._device), torch.from_numpy(numbers).to(self._device)]
        return torch.from_numpy(self._features[rows][np.arange(len(rows)), numbers]).to(self._device)

    def load(self, draw: Draw) -> Batch:
        """The batch that `draw` asks for."""
        videos = {name: self.videos(rows) for name, rows in draw.videos.items()}
        corrupted = {
            name: plan.apply(videos[name], self.frames(plan.source_video, plan.source_frame))
            for name, plan in draw.corruption.items()
        }
        values = {name: torch.from_numpy(value).to(self._device) for name, value in draw.values.items()}
        return Batch(videos, corrupted, values)


def train(
    network: nn.Module, objective: Objective, features: Features, schedule: Schedule, context: FitContext, stage: str
) -> None:
    """Train `network` in place for `schedule.epochs` epochs and leave it in evaluation mode.

    Every epoch's mean losses are added to `context.history`. With `schedule.validation_share` the weights of the epoch
    with the lowest loss on the held-out videos are kept, else those of the last; `context.checkpoint` says which.
    Raises TrainingError after an epoch without a finite loss.
    """
    loader = VideoLoader(features, context.device)
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate, fused=True)
    # The same videos in every stage of a method.
    videos = context.random("validation").permutation(len(features))
    count = schedule.held_out(len(features))
    held_out, trained = np.sort(videos[:count]), np.sort(videos[count:])
    batches = batch_slices(len(trained), schedule.batch_size)
    if not batches:
        raise TrainingError(f"{stage} has {len(trained)} videos to train on; it needs two at least")
    lowest = Lowest()
    with context.progress.task(stage, schedule.epochs * len(batches)) as task:
        for epoch in range(schedule.epochs):
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate(epoch)
            context.seed_torch(stage, "dropout", epoch)
            order = trained[context.random(stage, "order", epoch).permutation(len(trained))]
            network.train()
            mean = MeanLosses()
            for number, part in enumerate(batches):
                batch = loader.load(objective.draw(order[part], context.random(stage, "items", epoch, number)))
                losses = objective.loss(batch, epoch)
                optimiser.zero_grad()
                losses["loss"].backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                mean.add(losses, part.stop - part.start)
                task.advance(f"epoch {epoch + 1}/{schedule.epochs}")
            row = {"epoch": float(epoch), **mean.values()}
            network.eval()
            if len(held_out):
                row["validation_loss"] = validation_loss(loader, objective, held_out, schedule, context, stage, epoch)
                lowest.offer(row["validation_loss"], epoch, network)
            if not all(np.isfinite(value) for value in row.values()):
                raise TrainingError(f"the loss of {stage} is {row['loss']} in epoch {epoch}; lower learning_rate")
            context.history.append(row)
    if len(held_out):
        network.load_state_dict(lowest.weights)
        context.checkpoint = (
            f"epoch {lowest.epoch + 1} of {schedule.epochs}: lowest loss on {len(held_out)} training videos held out"
        )


def validation_loss(
    loader: VideoLoader,
    objective: Objective,
    held_out: NDArray[np.int64],
    schedule: Schedule,
    context: FitContext,
    stage: str,
    epoch: int,
) -> float:
    """The mean loss on held-out training videos, with the same draws at every epoch. No label is involved."""
    mean = MeanLosses()
    with torch.no_grad():
        for number, part in enumerate(batch_slices(len(held_out), schedule.batch_size)):
            draw = objective.draw(held_out[part], context.random(stage, "validation items", number))
            mean.add(objective.loss(loader.load(draw), epoch), part.stop - part.start)
    return mean.values()["loss"]


class MeanLosses:
    """Means over items, summed on the device so that no step waits for the host."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._items = 0

    def add(self, losses: Mapping[str, Tensor], items: int) -> None:
        """Losses that are means over so many items."""
        for name, value in losses.items():
            summed = value.detach() * items
            self._sums[name] = self._sums[name] + summed if name in self._sums else summed
        self._items += items

    def values(self) -> dict[str, float]:
        """The mean of every loss."""
        return {name: float(value) / self._items for name, value in self._sums.items()}


@dataclass
class Lowest:
    """The weights with the lowest loss so far."""

    loss: float = float("inf")
    epoch: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, loss: float, epoch: int, network: nn.Module) -> None:
        """Keep a copy of the network's weights if their loss is lower."""
        if not self.weights or loss < self.loss:
            self.loss, self.epoch = loss, epoch
            self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}


def batch_slices(items: int, batch_size: int) -> list[slice]:
    """Slices of 0…items-1; a last batch of a single item is left out, since batch statistics of one do not exist."""
    slices = [slice(start, min(start + batch_size, items)) for start in range(0, items, batch_size)]
    return [part for part in slices if part.stop - part.start > 1]
