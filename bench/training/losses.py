"""Means of losses over an epoch, and the weights with the lowest of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn


class MeanLosses:
    """Means over items, summed on the device so that no step waits for the host."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._items = 0

    def add(self, losses: Mapping[str, Tensor], items: int) -> None:
        """Losses that are means over so many items."""
        for name, value in losses.items():
            summed = value.detach().float() * items
            self._sums[name] = self._sums[name] + summed if name in self._sums else summed
        self._items += items

    def values(self) -> dict[str, float]:
        """The mean of every loss."""
        return {name: float(value / self._items) for name, value in self._sums.items()}


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
