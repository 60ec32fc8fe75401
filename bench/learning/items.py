"""Training items: the draw of a batch, and frame corruption."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ZEROED, REPLACED = 0.8, 0.1


def on_device(values: NDArray[Any] | Tensor, device: torch.device) -> Tensor:
    """`values` on `device`. Copying them to a GPU waits for none of the steps that are queued there."""
    tensor = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


@dataclass(frozen=True)
class FrameCorruption:
    """The frames of a batch (B, T) that are zeroed, or replaced by frames of training videos."""

    kept: NDArray[np.float32]
    """(B, T), 0 where the frame is zeroed or replaced, else 1."""
    item: NDArray[np.int64]
    """(R,) place in the batch of each replaced frame."""
    frame: NDArray[np.int64]
    """(R,) its number in the video."""
    source_video: NDArray[np.int64]
    """(R,) the training video that the replacement comes from."""
    source_frame: NDArray[np.int64]

    def apply(self, videos: Tensor, replacements: Tensor) -> Tensor:
        """A corrupted copy of `videos` (B, T, D), given the replacement frames (R, D)."""
        kept = on_device(self.kept, videos.device).to(videos.dtype)
        corrupted = videos * kept[:, :, None]
        frames = corrupted.flatten(0, 1)
        places = self.item * videos.shape[1] + self.frame
        if len(places):
            # A deterministic assignment by index synchronises with the GPU four times.
            torch._foreach_copy_([frames[place] for place in places.tolist()], replacements.unbind())
        return corrupted


def draw_corruption(
    random: np.random.Generator, batch: int, frames: int, among: NDArray[np.int64], rate: float
) -> FrameCorruption:
    """Each frame is chosen with probability `rate`; of these 80 % are zeroed, 10 % replaced, 10 % kept, as in BTH.

    A replacement is any frame of any of the training videos `among` (M,).
    """
    chosen = random.random((batch, frames)) < rate
    outcome = random.random((batch, frames))
    replaced = chosen & (outcome >= ZEROED) & (outcome < ZEROED + REPLACED)
    item, frame = np.nonzero(replaced)
    return FrameCorruption(
        kept=(~(replaced | (chosen & (outcome < ZEROED)))).astype(np.float32),
        item=item,
        frame=frame,
        source_video=among[random.integers(0, len(among), len(item))],
        source_frame=random.integers(0, frames, len(item)),
    )


@dataclass(frozen=True)
class Draw:
    """The content of a batch of training items."""

    videos: Mapping[str, NDArray[np.int64]]
    """By name: indices (B,) of training videos to load."""
    values: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """By name: further numbers or booleans; of the items, first axis B, or of the whole batch."""
    corruption: Mapping[str, FrameCorruption] = field(default_factory=dict)
    """By the name of the videos: how to corrupt them."""


@dataclass(frozen=True)
class Batch:
    """A `Draw` with its videos loaded, on the training device."""

    videos: Mapping[str, Tensor]
    """By name, (B, T, D), as they are stored; bfloat16 where training is."""
    corrupted: Mapping[str, Tensor]
    """By name, (B, T, D), for those that the draw corrupts."""
    values: Mapping[str, Tensor]
    """By name, as they were drawn."""
    rows: Mapping[str, Tensor] = field(default_factory=dict)
    """By name, (B,) int64: which of the training videos these are."""

    def __len__(self) -> int:
        return len(next(iter(self.videos.values())))

    def tensors(self) -> dict[tuple[str, str], Tensor]:
        """All tensors, by field and name."""
        return {(kind.name, name): value for kind in fields(self) for name, value in getattr(self, kind.name).items()}

    def clone(self) -> "Batch":
        """A copy of all tensors."""
        return Batch(
            *({name: value.clone() for name, value in getattr(self, kind.name).items()} for kind in fields(self))
        )

    def copy_(self, other: "Batch") -> None:
        """Take over the values of another batch with tensors like these."""
        given = other.tensors()
        for name, value in self.tensors().items():
            value.copy_(given[name])

    def is_like(self, other: "Batch") -> bool:
        """Whether both have the same tensors but for their values."""
        return self._kinds() == other._kinds()

    def _kinds(self) -> dict[tuple[str, str], tuple[torch.Size, torch.dtype]]:
        return {name: (value.shape, value.dtype) for name, value in self.tensors().items()}
