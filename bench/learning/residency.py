"""Residency of training features: on the device, in memory, or in their file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import torch
from torch import Tensor

from bench.data.features import Features

Precision = Literal["float32", "bfloat16"]
Place = Literal["device", "memory", "file"]
# The rest is for weights, activations, prefetched batches and the anchor graph.
DEVICE_SHARE, MEMORY_SHARE = 0.7, 0.5
STORED = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float32}


@dataclass(frozen=True)
class Residency:
    """A place for features, and their type there."""

    place: Place
    dtype: torch.dtype
    size: int
    """Bytes."""

    def __str__(self) -> str:
        kept = {
            "device": "kept on the device",
            "memory": "kept in memory",
            "file": "read from their file by batches",
        }
        return f"features: {self.size / 1e9:.1f} GB as {str(self.dtype).removeprefix('torch.')}, {kept[self.place]}"


def choose_residency(features: Features, device: torch.device, precision: Precision) -> Residency:
    """The fastest place where the features fit, as they are stored: the choice changes no number.

    In bfloat16 training, which rounds features anyway, they take two bytes a value wherever they are.
    """
    dtype = torch.bfloat16 if precision == "bfloat16" else STORED[features.dtype]
    count, frames, dimensions = features.shape
    size = count * frames * dimensions * dtype.itemsize
    if device.type == "cuda" and size <= DEVICE_SHARE * free_on_device(device):
        return Residency("device", dtype, size)
    if size <= MEMORY_SHARE * free_memory():
        return Residency("memory", dtype, size)
    return Residency("file", dtype, size)


def free_on_device(device: torch.device) -> int:
    """Free bytes of a CUDA device."""
    free, _ = torch.cuda.mem_get_info(device)
    return free


def free_memory() -> int:
    """Bytes of memory free to this process: of the machine, or of its control group if that is less."""
    available = psutil.virtual_memory().available
    groups = (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    )
    for limit, used in groups:
        try:
            available = min(available, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):
            # No such control group, or one without a limit ("max").
            continue
    return available


class Residents:
    """The loaded features of the last training, so that the runs of a sweep load them once."""

    def __init__(self) -> None:
        self._features: Features | None = None
        self._key: tuple[torch.device, Precision] | None = None
        self._residency: Residency | None = None
        self._tensor: Tensor | None = None

    def choose(
        self, features: Features, device: torch.device, precision: Precision, say: Callable[[str], None]
    ) -> tuple[Residency, Tensor | None]:
        """The place of the features, and the tensor (N, T, D); None if they stay in their file."""
        if self._residency is None or self._features is not features or self._key != (device, precision):
            # Released first, so that free memory counts without it.
            self._tensor = None
            self._features, self._key = features, (device, precision)
            self._residency = choose_residency(features, device, precision)
            say(str(self._residency))
            if self._residency.place != "file":
                home = device if self._residency.place == "device" else torch.device("cpu")
                self._tensor = load_whole(features, home, self._residency.dtype)
        return self._residency, self._tensor


def load_whole(features: Features, device: torch.device, dtype: torch.dtype) -> Tensor:
    """All features (N, T, D) on `device`, read block by block."""
    tensor = torch.empty(features.shape, dtype=dtype, device=device)
    for start, block in features.blocks():
        tensor[start : start + len(block)] = torch.from_numpy(block)
    return tensor
