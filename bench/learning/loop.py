"""The one training loop that all deep methods share."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.base.progress import Stopped, Task
from bench.data.features import Features
from bench.learning.captured import Capture
from bench.learning.context import FitContext
from bench.learning.items import Batch, Draw
from bench.learning.loader import VideoLoader
from bench.learning.objective import MINIMISED, Objective, as_objective
from bench.learning.schedule import BaseSchedule
from bench.learning.states import Lowest, Trained

DAY = 86400
ESTIMATED_STEPS = 10
"""Steps that are timed before the estimate of a whole training."""


class MeanLosses:
    """Means over items, summed on the device so that no step waits for the host."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._items = 0

    def add(self, losses: Mapping[str, Tensor], items: int) -> None:
        """Add losses that are means over `items` items."""
        for name, value in losses.items():
            summed = value.float() * items
            self._sums[name] = self._sums[name] + summed if name in self._sums else summed
        self._items += items

    def values(self) -> dict[str, float]:
        """The mean of every loss."""
        return {name: float(value / self._items) for name, value in self._sums.items()}


class TrainingError(RuntimeError):
    """A failure during training that no check of the input can foresee, such as a loss of NaN."""


def train(
    network: nn.Module,
    objective: Objective,
    features: Features,
    schedule: BaseSchedule,
    context: FitContext,
    stage: str,
    optimiser: Optimizer | None = None,
) -> Optimizer:
    """Train `network` in place for the updates of `schedule` and leave it in evaluation mode; return the optimiser.

    Every epoch's mean losses are added to `context.history`. With `schedule.validation_share` the weights of the epoch
    with the lowest loss on the held-out videos are kept, else those of the last; `context.checkpoint` says which.
    With `context.states` training goes on from the stage's last state, if there is one, to the same end.
    A stage that is given the `optimiser` of an earlier one goes on with its moments.
    Raises TrainingError after an epoch without a finite loss, Stopped after one in which `context.stop` became true.
    """
    objective = as_objective(objective)
    # The same videos in every stage of a method.
    videos = context.random("validation").permutation(len(features))
    count = schedule.held_out(len(features))
    held_out, trained = np.sort(videos[:count]), np.sort(videos[count:])
    steps = len(schedule.batches(len(trained))) * len(objective.passes())
    if not steps:
        raise TrainingError(f"{stage} has {len(trained)} videos to train on; it needs two at least")
    updates = schedule.length(steps)
    epochs = math.ceil(updates / steps)
    training = Training(network, objective, schedule, context, stage, optimiser)
    loader = VideoLoader(features, schedule, context)
    lowest = Lowest()
    done = training.restore(lowest)
    training.updates = done * steps
    with context.progress.task(stage, updates - training.updates) as bar:
        task = Estimate(bar, updates - training.updates, stage, context)
        for epoch in range(done, epochs):
            row = training.whole_epoch(epoch, trained, loader, updates, task)
            if len(held_out):
                row["validation_loss"] = training.validation_loss(epoch, held_out, loader)
                if epoch == objective.comparable_from:
                    lowest.forget()
                lowest.offer(row["validation_loss"], epoch, network)
            if not all(np.isfinite(value) for value in row.values()):
                raise TrainingError(f"the loss of {stage} is {row['loss']} in epoch {epoch}; lower learning_rate")
            context.history.append(row)
            # The end of a stage is always saved: the next stage builds on it.
            ends, stop = epoch + 1 == epochs, context.stop()
            if context.states and (ends or stop or context.states.due()):
                context.states.save(stage, epoch + 1, training.trained, lowest, context.history)
            if stop:
                raise Stopped(f"{stage}: stopped after epoch {epoch + 1} of {epochs}")
    network.eval()
    if len(held_out):
        network.load_state_dict(lowest.weights)
        context.checkpoint = (
            f"epoch {lowest.epoch + 1} of {epochs}: lowest loss on {len(held_out)} training videos held out"
        )
    return training.optimiser


class Estimate:
    """Counts steps, and says after the first few if the training will take longer than a day."""

    def __init__(self, task: Task, steps: int, stage: str, context: FitContext) -> None:
        self._task, self._steps, self._stage, self._context = task, steps, stage, context
        self._done = 0
        self._begun = 0.0

    def advance(self, status: str = "") -> None:
        """Count one step."""
        self._task.advance(status)
        self._done += 1
        if self._done not in (1, 1 + ESTIMATED_STEPS):
            return
        if self._context.device.type == "cuda":
            torch.cuda.synchronize(self._context.device)
        if self._done == 1:
            # The first step also loads and compiles.
            self._begun = time.monotonic()
            return
        days = (time.monotonic() - self._begun) / ESTIMATED_STEPS * (self._steps - self._done) / DAY
        if days > 1:
            self._context.say(f"{self._stage}: will take about {days:.1f} days on this machine; lower `epochs`?")


class Training:
    """One stage of a training: the steps and epochs of a network and its optimiser."""

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        schedule: BaseSchedule,
        context: FitContext,
        stage: str,
        optimiser: Optimizer | None = None,
    ) -> None:
        if schedule.precision == "bfloat16" and emulates_bfloat16(context.device):
            context.say("this processor emulates bfloat16: float32 would be faster")
        self.optimiser = optimiser or schedule.optimiser(network)
        self.trained = Trained(network, self.optimiser, objective.state())
        self._network, self._objective = network, objective
        self._schedule, self._context, self._stage = schedule, context, stage
        self._passes = objective.passes()
        self._capture = Capture(self.trained, context, stage)
        self.updates = 0
        """Steps of this stage so far."""

    def restore(self, lowest: Lowest) -> int:
        """Restore the stage's last state; the number of epochs it had done, 0 without a state."""
        context = self._context
        if not context.states:
            return 0
        done = context.states.restore(self._stage, self.trained, lowest, context.history)
        if done:
            context.say(f"{self._stage}: resumes after epoch {done}")
        return done

    def whole_epoch(
        self, epoch: int, trained: NDArray[np.int64], loader: VideoLoader, limit: int, task: Task
    ) -> dict[str, float]:
        """Train all passes of an epoch over the videos `trained` (N,), up to update `limit`; the mean losses."""

        def encode(forward: Callable[..., Tensor], *aligned: NDArray[Any]) -> NDArray[np.float32]:
            with self._precision():
                return loader.encode(forward, *aligned)

        self._network.eval()
        with torch.no_grad():
            self._objective.begin_epoch(epoch, encode, self._context.random(self._stage, "begin", epoch))
        rows = []
        for number in range(len(self._passes)):
            left = limit - self.updates
            if left > 0:
                rows.append(self.epoch(epoch, islice(self.batches(epoch, trained, loader, number), left), task, number))
        return mean_row(rows)

    def batches(self, epoch: int, trained: NDArray[np.int64], loader: VideoLoader, number: int = 0) -> Iterator[Batch]:
        """Batches of all training videos `trained` (N,) for one pass, in its random order."""
        random = self._context.random(self._stage, "order", epoch, *_later(number))
        order = trained[random.permutation(len(trained))]
        draw = partial(self._draw, self._passes[number])
        return loader.batches(
            partial(draw, order[part], trained, "items", epoch, step, *_later(number))
            for step, part in enumerate(self._schedule.batches(len(trained)))
        )

    def epoch(self, epoch: int, batches: Iterable[Batch], task: Task, number: int = 0) -> dict[str, float]:
        """Train one pass on every batch and return the mean losses. The network is left in evaluation mode."""
        objective, optimiser = self._passes[number], self.optimiser
        self._context.seed_torch(self._stage, "dropout", epoch, *_later(number))
        self._network.train()
        step = self._capture.steps(partial(self._step, objective, epoch), objective)
        mean = MeanLosses()
        for batch in batches:
            for group in optimiser.param_groups:
                group["lr"] = self._schedule.update_rate(epoch, self.updates)
            losses = step(batch)
            optimiser.step()
            with torch.no_grad():
                objective.after_step(batch)
            mean.add(losses, len(batch))
            self.updates += 1
            task.advance(f"epoch {epoch + 1}/{self._schedule.epochs}")
        self._network.eval()
        return {"epoch": float(epoch), **mean.values()}

    def validation_loss(self, epoch: int, held_out: NDArray[np.int64], loader: VideoLoader) -> float:
        """The mean loss on held-out training videos, with the same draws at every epoch. No label is involved."""
        rows = []
        with torch.no_grad():
            for number, objective in enumerate(self._passes):
                mean = MeanLosses()
                for step, part in enumerate(self._schedule.batches(len(held_out))):
                    stream = ("validation items", step, *_later(number))
                    batch = loader.load(self._draw(objective, held_out[part], held_out, *stream))
                    losses = self._losses(objective, batch, epoch)
                    mean.add({"loss": losses["loss"]}, len(batch))
                rows.append(mean.values())
        return mean_row(rows)["loss"]

    def _draw(
        self, objective: Objective, videos: NDArray[np.int64], among: NDArray[np.int64], *stream: str | int
    ) -> Draw:
        return objective.draw(videos, among, self._context.random(self._stage, *stream))

    def _step(self, objective: Objective, epoch: int, batch: Batch) -> dict[str, Tensor]:
        """Give the weights the gradients of a batch; return its losses, without their history."""
        losses = self._losses(objective, batch, epoch)
        self.optimiser.zero_grad()
        losses.pop(MINIMISED, losses["loss"]).backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in losses.items()}

    def _losses(self, objective: Objective, batch: Batch, epoch: int) -> dict[str, Tensor]:
        with self._precision():
            losses = objective.loss(batch, epoch)
        # It holds outdated weights as long as a caller's autocast context is open.
        torch.clear_autocast_cache()
        return losses

    def _precision(self) -> AbstractContextManager[Any]:
        rough = self._schedule.precision == "bfloat16"
        return torch.autocast(self._context.device.type, torch.bfloat16, enabled=rough)


def mean_row(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of every loss over the passes of an epoch that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    values = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: sum(found) / len(found) for name, found in values.items()}


def _later(number: int) -> tuple[str | int, ...]:
    """What the streams of a pass add to those of the first, which have no number."""
    return (number,) if number else ()


def emulates_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are known to be slower on this device than those in float32."""
    known = getattr(torch.cpu, "get_capabilities", None)
    if device.type != "cpu" or known is None:
        return False
    return not any(has for name, has in known().items() if "bf16" in name)
