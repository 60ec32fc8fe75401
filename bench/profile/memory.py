"""Peak memory of encoding, counted rather than sampled: the same on every run and every machine."""

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_bytes(module: nn.Module, videos: Tensor) -> int:
    """The most bytes that tensors take at one moment of encoding `videos` (n, T, D): weights, features, activations.

    Scratch memory within an operator and what Python and PyTorch take themselves are not among them.
    """
    counter = _LiveBytes()
    for tensor in (*module.parameters(), *module.buffers(), videos):
        counter.add(tensor)
    with torch.inference_mode(), counter:
        module(videos)
    return counter.peak


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages that are alive, as operators make them and Python lets go of them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self._now = 0
        self._alive: set[int] = set()

    def add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        if not size or place in self._alive:
            return
        self._alive.add(place)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._free, place, size)

    def _free(self, place: int, size: int) -> None:
        self._alive.discard(place)
        self._now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self.add(value)
        return result
