"""The one training loop that all deep methods share."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.progress import Stopped, Task
from bench.data.features import Features
from bench.learning.context import FitContext
from bench.learning.items import Batch, Draw, Objective
from bench.learning.loader import VideoLoader
from bench.learning.schedule import Schedule
from bench.learning.states import Lowest


class MeanLosses:
    """Means over items, summed on the device so that no step waits for the host."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._items = 0

    def add(self, losses: Mapping[str, Tensor], items: int) -> None:
        """Add losses that are means over `items` items."""
        for name, value in losses.items():
            summed = value.detach().float() * items
            self._sums[name] = self._sums[name] + summed if name in self._sums else summed
        self._items += items

    def values(self) -> dict[str, float]:
        """The mean of every loss."""
        return {name: float(value / self._items) for name, value in self._sums.items()}


class TrainingError(RuntimeError):
    """A failure during training that no check of the input can foresee, such as a loss of NaN."""


def train(
    network: nn.Module, objective: Objective, features: Features, schedule: Schedule, context: FitContext, stage: str
) -> None:
    """Train `network` in place for `schedule.epochs` epochs and leave it in evaluation mode.

    Every epoch's mean losses are added to `context.history`. With `schedule.validation_share` the weights of the epoch
    with the lowest loss on the held-out videos are kept, else those of the last; `context.checkpoint` says which.
    With `context.states` training goes on from the stage's last state, if there is one, to the same end.
    Raises TrainingError after an epoch without a finite loss, Stopped after one in which `context.stop` became true.
    """
    # The same videos in every stage of a method.
    videos = context.random("validation").permutation(len(features))
    count = schedule.held_out(len(features))
    held_out, trained = np.sort(videos[:count]), np.sort(videos[count:])
    steps = len(schedule.batches(len(trained)))
    if not steps:
        raise TrainingError(f"{stage} has {len(trained)} videos to train on; it needs two at least")
    training = Training(network, objective, schedule, context, stage)
    loader = VideoLoader(features, schedule, context)
    lowest = Lowest()
    done = training.restore(lowest)
    with context.progress.task(stage, (schedule.epochs - done) * steps) as task:
        for epoch in range(done, schedule.epochs):
            row = training.epoch(epoch, training.batches(epoch, trained, loader), task)
            if len(held_out):
                row["validation_loss"] = training.validation_loss(epoch, held_out, loader)
                lowest.offer(row["validation_loss"], epoch, network)
            if not all(np.isfinite(value) for value in row.values()):
                raise TrainingError(f"the loss of {stage} is {row['loss']} in epoch {epoch}; lower learning_rate")
            context.history.append(row)
            # The end of a stage is always saved: the next stage builds on it.
            ends, stop = epoch + 1 == schedule.epochs, context.stop()
            if context.states and (ends or stop or context.states.due()):
                context.states.save(stage, epoch + 1, network, training.optimiser, lowest, context.history)
            if stop:
                raise Stopped(f"{stage}: stopped after epoch {epoch + 1} of {schedule.epochs}")
    network.eval()
    if len(held_out):
        network.load_state_dict(lowest.weights)
        context.checkpoint = (
            f"epoch {lowest.epoch + 1} of {schedule.epochs}: lowest loss on {len(held_out)} training videos held out"
        )


class Training:
    """One stage of a training: the steps and epochs of a network and its optimiser."""

    def __init__(
        self, network: nn.Module, objective: Objective, schedule: Schedule, context: FitContext, stage: str
    ) -> None:
        if schedule.precision == "bfloat16" and emulates_bfloat16(context.device):
            context.say("this processor emulates bfloat16: float32 would be faster")
        self.optimiser = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate, fused=True)
        self._network, self._objective = network, objective
        self._schedule, self._context, self._stage = schedule, context, stage

    def restore(self, lowest: Lowest) -> int:
        """Restore the stage's last state; the number of epochs it had done, 0 without a state."""
        context = self._context
        if not context.states:
            return 0
        done = context.states.restore(self._stage, self._network, self.optimiser, lowest, context.history)
        if done:
            context.say(f"{self._stage}: resumes after epoch {done}")
        return done

    def batches(self, epoch: int, trained: NDArray[np.int64], loader: VideoLoader) -> Iterator[Batch]:
        """Batches of all training videos `trained` (N,), in the epoch's random order."""
        order = trained[self._context.random(self._stage, "order", epoch).permutation(len(trained))]
        parts = self._schedule.batches(len(trained))
        return loader.batches(
            partial(self._draw, order[part], trained, "items", epoch, number) for number, part in enumerate(parts)
        )

    def epoch(self, epoch: int, batches: Iterable[Batch], task: Task) -> dict[str, float]:
        """Train on every batch and return the mean losses. The network is left in evaluation mode."""
        for group in self.optimiser.param_groups:
            group["lr"] = self._schedule.rate(epoch)
        self._context.seed_torch(self._stage, "dropout", epoch)
        self._network.train()
        mean = MeanLosses()
        for batch in batches:
            losses = self._losses(batch, epoch)
            self.optimiser.zero_grad()
            losses["loss"].backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            mean.add(losses, len(batch))
            task.advance(f"epoch {epoch + 1}/{self._schedule.epochs}")
        self._network.eval()
        return {"epoch": float(epoch), **mean.values()}

    def validation_loss(self, epoch: int, held_out: NDArray[np.int64], loader: VideoLoader) -> float:
        """The mean loss on held-out training videos, with the same draws at every epoch. No label is involved."""
        mean = MeanLosses()
        with torch.no_grad():
            for number, part in enumerate(self._schedule.batches(len(held_out))):
                batch = loader.load(self._draw(held_out[part], held_out, "validation items", number))
                mean.add(self._losses(batch, epoch), len(batch))
        return mean.values()["loss"]

    def _draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], *stream: str | int) -> Draw:
        return self._objective.draw(videos, among, self._context.random(self._stage, *stream))

    def _losses(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        rough = self._schedule.precision == "bfloat16"
        with torch.autocast(self._context.device.type, torch.bfloat16, enabled=rough):
            losses = self._objective.loss(batch, epoch)
        # It holds outdated weights as long as a caller's autocast context is open.
        torch.clear_autocast_cache()
        return losses


def emulates_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are known to be slower on this device than those in float32."""
    known = getattr(torch.cpu, "get_capabilities", None)
    if device.type != "cpu" or known is None:
        return False
    return not any(has for name, has in known().items() if "bf16" in name)
