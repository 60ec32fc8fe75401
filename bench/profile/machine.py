"""Machine rates, load by other programs, and peak memory of a call."""

import time
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import psutil
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.profile.cost_types import Rates
from bench.profile.timing import Stopwatch, Work

REPEATS = 5
SIZES = {"cpu": (1024, 512, 2**26), "cuda": (8192, 8192, 2**30)}
"""By type of device: rows of the matrices in float32 and in bfloat16, and the number of bytes to copy.

CPUs without bfloat16 units take a hundred times as long, hence the smaller matrices. The copies exceed the caches. A
GPU needs matrices of this size to be busy.
"""


def measure_rates(device: torch.device, stopwatch: Stopwatch) -> Rates:
    """The best of five repeats after a warm-up, with torch's number of threads."""
    rows, rough_rows, copied = SIZES[device.type]
    # GPUs multiply zeros and ones faster than typical numbers, since fewer bits change.
    random = torch.Generator(device).manual_seed(0)
    with torch.inference_mode():
        source = torch.rand(copied // 4, generator=random, device=device)
        target = torch.empty_like(source)
        return Rates(
            float32=_product_rate(torch.randn(rows, rows, generator=random, device=device), stopwatch),
            bfloat16=_product_rate(
                torch.randn(rough_rows, rough_rows, generator=random, device=device).bfloat16(), stopwatch
            ),
            copy_bytes=2 * copied / _best(lambda: target.copy_(source), stopwatch),
        )


def _product_rate(matrix: Tensor, stopwatch: Stopwatch) -> float:
    result = torch.empty_like(matrix)
    return len(matrix) ** 3 / _best(lambda: torch.mm(matrix, matrix, out=result), stopwatch)


def _best(work: Work, stopwatch: Stopwatch) -> float:
    stopwatch(work)
    return min(stopwatch(work) for _ in range(REPEATS))


class Seconds(NamedTuple):
    """Clock readings in seconds, from an arbitrary start."""

    wall: float
    busy: float
    """CPU time of all programs on all cores, and of other virtual machines."""
    own: float
    """CPU time of this process and its children."""
    cores: int


def read_seconds() -> Seconds:
    """Read the clocks."""
    machine, process = psutil.cpu_times(), psutil.Process().cpu_times()
    idle = machine.idle + getattr(machine, "iowait", 0.0)
    # Linux counts guests' time in user time, too.
    guests = getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)
    return Seconds(time.monotonic(), sum(machine) - idle - guests, sum(process[:4]), psutil.cpu_count() or 1)


class Others:
    """The share of the machine's CPU time that other programs used since this object was created."""

    def __init__(self, read: Callable[[], Seconds] = read_seconds) -> None:
        self._read, self._start = read, read()

    def share(self) -> float:
        """The share until now, from 0 to 1; the system's clocks have a resolution of about 10 ms."""
        now, start = self._read(), self._start
        available = (now.wall - start.wall) * now.cores
        used = (now.busy - start.busy) - (now.own - start.own)
        return min(1.0, max(0.0, used / available)) if available > 0 else 0.0


def peak_bytes(module: nn.Module, videos: Tensor) -> int:
    """The peak of bytes in tensors while encoding `videos` (n, T, D): weights, features and activations.

    Scratch memory within an operator and the memory of Python and PyTorch are not included.
    """
    counter = _LiveBytes()
    for tensor in (*module.parameters(), *module.buffers(), videos):
        counter.add(tensor)
    with torch.inference_mode(), counter:
        module(videos)
    return counter.peak


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of live storages, which operators create and Python frees."""

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
