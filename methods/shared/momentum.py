"""Momentum with a limit on every step, by which SSTH and SSVH train."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from pydantic import Field
from torch import nn
from torch.optim import Optimizer

from bench.method import BaseSchedule


class ClippedMomentum(Optimizer):
    """v ← clip(m·v − rate·(g + λ·θ), −limit, limit), number by number; θ ← θ + v. The clipped v is remembered.

    λ (`weight_decay`) adds ½·λ·Σθ² to the loss, over all parameters. The limit is what sets the step: of summed losses
    most gradients exceed it.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float, limit: float, weight_decay: float
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "limit": limit, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all parameters that have a gradient. A closure is not supported."""
        assert closure is None
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameter in parameters:
                if not self.state[parameter]:
                    self.state[parameter]["velocity"] = torch.zeros_like(parameter)
            velocities = [self.state[parameter]["velocity"] for parameter in parameters]
            gradients: Any = [parameter.grad for parameter in parameters]
            slopes = torch._foreach_add(gradients, parameters, alpha=group["weight_decay"])
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_add_(velocities, slopes, alpha=-group["lr"])
            torch._foreach_clamp_min_(velocities, -group["limit"])
            torch._foreach_clamp_max_(velocities, group["limit"])
            torch._foreach_add_(parameters, velocities)


class MomentumSchedule(BaseSchedule):
    """Clipped momentum at a rate that falls with every update."""

    learning_rate_decay: float = Field(0.9, gt=0, le=1)
    learning_rate_decay_updates: int = Field(10_000, ge=1)
    momentum: float = Field(0.9, ge=0, lt=1)
    largest_step: float = Field(1e-4, gt=0)
    """The most by which an update changes a number."""
    weight_decay: float = Field(1e-4, ge=0)
    """Of all trained numbers, as ½·λ·Σθ² in the loss that is minimised."""

    def optimiser(self, network: nn.Module) -> Optimizer:
        return ClippedMomentum(
            network.parameters(), self.learning_rate, self.momentum, self.largest_step, self.weight_decay
        )

    def update_rate(self, epoch: int, update: int) -> float:
        """rate·decay^(update / updates a decay), without steps."""
        return self.learning_rate * self.learning_rate_decay ** (update / self.learning_rate_decay_updates)
