"""The one training loop that all deep methods share."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.context import FitContext, Stopped, Task
from bench.data.features import Features
from bench.training.items import Draw, Objective
from bench.training.loader import VideoLoader
from bench.training.losses import Lowest, MeanLosses
from bench.training.processes import agreed, process_count, process_rank
from bench.training.schedule import Schedule

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class TrainingError(RuntimeError):
    """Training went wrong in a way that no other input would have shown before, such as a loss of NaN."""


def train(
    network: nn.Module, objective: Objective, features: Features, schedule: Schedule, context: FitContext, stage: str
) -> None:
    """Train `network` in place for `schedule.epochs` epochs and leave it in evaluation mode.

    Every epoch's mean losses are added to `context.history`. With `schedule.validation_share` the weights of the epoch
    with the lowest loss on the held-out videos are kept, else those of the last; `context.checkpoint` says which.
    With `context.states` training goes on from the stage's last state, if there is one, to the same end.
    Raises TrainingError after an epoch without a finite loss, Stopped after one in which `context.stop` came true.
    """
    # The same videos in every stage of a method.
    videos = context.random("validation").permutation(len(features))
    count = schedule.held_out(len(features))
    held_out, trained = np.sort(videos[:count]), np.sort(videos[count:])
    batches = schedule.batches(len(trained))
    if not batches:
        raise TrainingError(f"{stage} has {len(trained)} videos to train on; it needs two at least")
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate, fused=True)
    training = Training(network, objective, VideoLoader(features, schedule, context), optimiser, schedule, context,
                        stage)  # fmt: skip
    lowest = Lowest()
    done = restored(network, optimiser, lowest, context, stage)
    with context.progress.task(stage, (schedule.epochs - done) * len(batches)) as task:
        for epoch in range(done, schedule.epochs):
            row = training.epoch(epoch, trained, batches, task)
            if len(held_out):
                row["validation_loss"] = training.validation_loss(epoch, held_out)
                lowest.offer(row["validation_loss"], epoch, network)
            if not all(np.isfinite(value) for value in row.values()):
                raise TrainingError(f"the loss of {stage} is {row['loss']} in epoch {epoch}; lower learning_rate")
            context.history.append(row)
            # The end of a stage is kept in any case: what comes after it builds upon it.
            ends, stop = epoch + 1 == schedule.epochs, agreed(context.stop())
            if context.states and process_rank() == 0 and (ends or stop or context.states.due()):
                context.states.save(stage, epoch + 1, network, optimiser, lowest, context.history)
            if stop:
                raise Stopped(f"{stage}: stopped after epoch {epoch + 1} of {schedule.epochs}")
    network.eval()
    if len(held_out):
        network.load_state_dict(lowest.weights)
        context.checkpoint = (
            f"epoch {lowest.epoch + 1} of {schedule.epochs}: lowest loss on {len(held_out)} training videos held out"
        )


def restored(network: nn.Module, optimiser: Optimizer, lowest: Lowest, context: FitContext, stage: str) -> int:
    """How many epochs the stage's last state had done, with all put back as it was; 0 without a state."""
    if not context.states:
        return 0
    done = context.states.restore(stage, network, optimiser, lowest, context.history)
    if agreed(done) != done:
        raise TrainingError(f"process {process_rank()} finds another state of {stage} than process 0; results must "
                            "lie on a file system that all processes share")  # fmt: skip
    if done:
        context.say(f"{stage}: goes on after epoch {done}")
    return done


class Training:
    """One stage of a training: the network on its device or devices, and what an epoch does with it."""

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        loader: VideoLoader,
        optimiser: Optimizer,
        schedule: Schedule,
        context: FitContext,
        stage: str,
    ) -> None:
        # Seconds to import that only training need spend.
        from bench.training.fabric import TrainingStep, emulates_bfloat16, start_fabric  # noqa: PLC0415

        if schedule.precision == "bfloat16" and emulates_bfloat16(context.device):
            context.say("this processor emulates bfloat16: float32 would be faster")
        self._fabric: Fabric = start_fabric(context.device, schedule.precision)
        # Inside, network and optimiser stay the objects that they are, for states and for the objective.
        self._step, self._stepper = self._fabric.setup(TrainingStep(network, objective), optimiser)
        self._network, self._objective, self._loader, self._optimiser = network, objective, loader, optimiser
        self._schedule, self._context, self._stage = schedule, context, stage

    def epoch(self, epoch: int, trained: NDArray[np.int64], batches: list[slice], task: Task) -> dict[str, float]:
        """Train on every batch once; the mean losses. The network is left in evaluation mode."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._schedule.rate(epoch)
        # Every process has dropout of its own; a single one has the stream without a number.
        self._context.seed_torch(self._stage, "dropout", epoch, *([process_rank()] if process_rank() else []))
        order = trained[self._context.random(self._stage, "order", epoch).permutation(len(trained))]
        draws = [partial(self._draw, order[part], epoch, number) for number, part in enumerate(batches)]
        self._network.train()
        mean = MeanLosses()
        for part, batch in zip(batches, self._loader.batches(draws), strict=True):
            own = own_items(part.stop - part.start)
            losses = self._step(batch, epoch)
            self._stepper.zero_grad()
            # Processes average their gradients; items count alike, however many each has.
            share = process_count() * (own.stop - own.start) / (part.stop - part.start)
            self._fabric.backward(losses["loss"] if share == 1 else share * losses["loss"])
            self._stepper.step()
            mean.add(losses, own.stop - own.start)
            task.advance(f"epoch {epoch + 1}/{self._schedule.epochs}")
        self._network.eval()
        return {"epoch": float(epoch), **mean.values(self._total)}

    def validation_loss(self, epoch: int, held_out: NDArray[np.int64]) -> float:
        """The mean loss on held-out training videos, with the same draws at every epoch. No label is involved."""
        mean = MeanLosses()
        with torch.no_grad():
            for number, part in enumerate(self._schedule.batches(len(held_out))):
                random = self._context.random(self._stage, "validation items", number)
                batch = self._loader.load(self._objective.draw(held_out[part], random))
                mean.add(self._step(batch, epoch), part.stop - part.start)
        return mean.values()["loss"]

    def _draw(self, videos: NDArray[np.int64], epoch: int, number: int) -> Draw:
        # Drawn whole, so that a batch is the same for any number of processes, and each takes its part.
        draw = self._objective.draw(videos, self._context.random(self._stage, "items", epoch, number))
        return draw if process_count() == 1 else draw.part(own_items(len(videos)))

    def _total(self, value: Tensor) -> Tensor:
        summed = self._fabric.all_reduce(value, reduce_op="sum")
        assert isinstance(summed, Tensor)
        return summed


def own_items(items: int) -> slice:
    """The part of a batch that is this process's."""
    rank, processes = process_rank(), process_count()
    return slice(rank * items // processes, (rank + 1) * items // processes)
