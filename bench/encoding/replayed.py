"""An encoder's network on a GPU, captured as a CUDA graph and replayed: one launch instead of hundreds for a batch."""

from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.base.cuda_graph import CAPTURES
from bench.base.text import say

COMPUTED = 3
"""Batches of one size that are computed before one is captured, which takes as long as some of them."""
MOST = 8
"""Sizes that are captured: each keeps memory on the device."""


class Graph(NamedTuple):
    """The captured network for batches of one size."""

    videos: Tensor
    """Where it reads its batch."""
    relaxed: Tensor
    replay: Callable[[], None]


def replayed(network: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The function of `network`, in evaluation mode on `device`: captured where the device has graphs."""
    return Replayed(network, device) if device.type in CAPTURES else network


class Replayed:
    """A network whose batches (n, T, D) are replayed where their size comes again and again.

    A graph is used only if it gives what the network computes for the batch at hand, to the bit. Where it does not, or
    CUDA refuses to capture, batches are computed, which one line says. Call it in inference mode; threads take turns.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._network, self._device = network, device
        self._seen: Counter[tuple[int, ...]] = Counter()
        self._graphs: dict[tuple[int, ...], Graph] = {}
        self._refused = False
        self._lock = Lock()

    def __call__(self, videos: Tensor) -> Tensor:
        """The network's outputs, (n, K)."""
        with self._lock:
            size = tuple(videos.shape)
            if graph := self._graphs.get(size):
                return self._replay(graph, videos)
            relaxed: Tensor = self._network(videos)
            self._seen[size] += 1
            if self._seen[size] == COMPUTED and len(self._graphs) < MOST and not self._refused:
                self._capture(videos, relaxed)
            return relaxed

    def _capture(self, videos: Tensor, relaxed: Tensor) -> None:
        own = torch.zeros_like(videos)
        try:
            capture = CAPTURES[self._device.type]
            outputs, replay = capture(lambda: {"relaxed": self._network(own)}, self._device, draws=False)
        except RuntimeError as error:
            self._refuse(str(error).partition("\n")[0])
            return
        graph = Graph(own, outputs["relaxed"], replay)
        if torch.equal(self._replay(graph, videos), relaxed):
            self._graphs[tuple(videos.shape)] = graph
        else:
            self._refuse("a replayed batch differs from one that is computed")

    def _replay(self, graph: Graph, videos: Tensor) -> Tensor:
        graph.videos.copy_(videos)
        graph.replay()
        return graph.relaxed.clone()

    def _refuse(self, reason: str) -> None:
        self._refused = True
        say(f"the encoder is not captured as a CUDA graph: {reason}")
