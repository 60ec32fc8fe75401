"""Training steps that are captured as a CUDA graph and replayed: one launch instead of hundreds, which a GPU waits for.

The forward and the backward pass are captured; data, optimiser and hooks are not. Python runs only while a graph is
captured: numbers that it computes, such as those of the epoch, stay as they were. So

- every pass of an epoch captures its own graph;
- what the graph gives for one more batch is compared, to the bit, with that step computed as usual before the graph is
  used: losses, gradients, all that the step changes in place, and the state of the random numbers;
- an objective with an `after_step` is not captured, since `loss` may leave something for it in Python;
- a batch of another shape is computed as usual.

Where one of these fails, or CUDA refuses to capture, as it does if the host waits for the device, all steps of the
training are computed, from a state as if nothing had been captured.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.base.cuda_graph import CAPTURES
from bench.learning.context import FitContext
from bench.learning.items import Batch
from bench.learning.objective import Objective
from bench.learning.states import Trained

COMPUTED = 2
"""Steps of a pass that are computed before one is captured: CUDA's libraries allocate memory at first."""

Losses = dict[str, Tensor]
Step = Callable[[Batch], Losses]
"""Gives the weights the gradients of a batch, and returns its losses, without their history."""


@dataclass(frozen=True)
class Graph:
    """A captured step."""

    batch: Batch
    """Where the step reads its batch."""
    losses: Losses
    gradients: Sequence[Tensor | None]
    replay: Callable[[], None]
    """Computes losses and gradients of what `batch` holds."""


class Capture:
    """Captures the steps of one training, until that fails once."""

    def __init__(self, trained: Trained, context: FitContext, stage: str) -> None:
        self._context, self._stage = context, stage
        self._capture = CAPTURES.get(context.device.type)
        self._weights = [weight for group in trained.optimiser.param_groups for weight in group["params"]]
        network = trained.network
        self._changed = [*network.parameters(), *network.buffers(), *trained.state.values()]

    def steps(self, step: Step, objective: Objective) -> Step:
        """`step` for the batches of one pass, captured where possible. Its losses last until the next step."""
        if self._capture and type(objective).after_step is not Objective.after_step:
            self.refuse("its objective has an `after_step`")
        return CapturedSteps(step, self) if self._capture else step

    def refuse(self, reason: str) -> None:
        """Capture nothing from now on."""
        self._capture = None
        self._context.say(f"{self._stage}: steps are not captured as a CUDA graph: {reason}")

    def graph(self, step: Step, batch: Batch) -> Graph | None:
        """The captured step for batches like this one; nothing is computed or changed. None: it was refused."""
        if not self._capture:
            return None
        gradients, random = self.gradients(), self._random()
        own = batch.clone()
        try:
            losses, replay = self._capture(lambda: step(own), self._context.device)
            return Graph(own, losses, self.gradients(), replay)
        except RuntimeError as error:
            self.refuse(str(error).partition("\n")[0])
            return None
        finally:
            self.set_gradients(gradients)
            self._set_random(random)

    def is_right(self, replayed: Callable[[], Losses], computed: Callable[[], Losses]) -> tuple[bool, Losses]:
        """Whether both leave the same, to the bit; the losses of `computed`, which is called last."""
        before, random = [tensor.detach().clone() for tensor in self._changed], self._random()
        found = self._left(replayed())
        with torch.no_grad():
            for tensor, value in zip(self._changed, before, strict=True):
                tensor.copy_(value)
        self._set_random(random)
        losses = computed()
        expected = self._left(losses)
        same = found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)
        return same, losses

    def gradients(self) -> list[Tensor | None]:
        """Those of all weights; None where a step gives none."""
        return [weight.grad for weight in self._weights]

    def set_gradients(self, gradients: Sequence[Tensor | None]) -> None:
        """Let the weights have these gradients."""
        for weight, gradient in zip(self._weights, gradients, strict=True):
            weight.grad = gradient

    def _left(self, losses: Losses) -> dict[tuple[str, object], Tensor]:
        """Copies of all that a step leaves."""
        left: dict[tuple[str, object], Tensor] = {("loss", name): value for name, value in losses.items()}
        left |= {("gradient", n): value for n, value in enumerate(self.gradients()) if value is not None}
        left |= {("changed", n): value for n, value in enumerate(self._changed)}
        left |= {("random", n): value for n, value in enumerate(self._random())}
        return {name: value.detach().clone() for name, value in left.items()}

    def _random(self) -> list[Tensor]:
        device = self._context.device
        return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]

    def _set_random(self, states: Sequence[Tensor]) -> None:
        torch.set_rng_state(states[0])
        for state in states[1:]:
            torch.cuda.set_rng_state(state, self._context.device)


class CapturedSteps:
    """The steps of one pass: computed at first, then replayed."""

    def __init__(self, step: Step, capture: Capture) -> None:
        self._step, self._capture = step, capture
        self._graph: Graph | None = None
        self._computed = 0
        self._right = False

    def __call__(self, batch: Batch) -> Losses:
        """As `Step`."""
        graph = self._graph
        if graph and graph.batch.is_like(batch):
            if self._right:
                return self._replayed(graph, batch)
            self._right, losses = self._capture.is_right(
                lambda: self._replayed(graph, batch), lambda: self._step(batch)
            )
            if not self._right:
                self._graph = None
                self._capture.refuse("a replayed step differs from one that is computed")
            return losses
        losses = self._step(batch)
        self._computed += 1
        if self._computed == COMPUTED:
            self._graph = self._capture.graph(self._step, batch)
        return losses

    def _replayed(self, graph: Graph, batch: Batch) -> Losses:
        graph.batch.copy_(batch)
        graph.replay()
        # A step that was computed in between has left others.
        self._capture.set_gradients(graph.gradients)
        return graph.losses
