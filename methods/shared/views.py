"""Two masked views of a video: the frames that each sees, and the frames that each must restore."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.base.errors import InputError


@dataclass(frozen=True)
class Views:
    """Frame numbers in temporal order, of two views of every video of a batch."""

    visible: NDArray[np.int64]
    """(B, 2, V)."""
    hidden: NDArray[np.int64]
    """(B, 2, M), the other frames."""


def hidden_frames(frames: int, ratio: float) -> int:
    """M = floor(ratio·T), the frames that a view hides of T; the visible ones are V = T − M."""
    return int(ratio * frames)


def require_hidden_frames(method: str, frames: int, ratio: float, parameter: str = "mask_ratio") -> None:
    """InputError unless this share of T frames, the value of a parameter, hides one at least."""
    if frames < 2:
        raise InputError(f"{method} hides frames of every video: it needs videos of 2 frames or more")
    if not hidden_frames(frames, ratio):
        enough = math.ceil(1000 / frames) / 1000
        raise InputError(f"{parameter}: {ratio:g} of {frames} frames is less than one; set it to {enough:g} or more")


def draw_views(random: np.random.Generator, batch: int, frames: int, ratio: float) -> Views:
    """Two views of each of `batch` videos: the first V frames of one shuffle, and its last V.

    They share no frame where 2·V ≤ T, else exactly 2·V − T.
    """
    hidden = hidden_frames(frames, ratio)
    shuffled = random.permuted(np.tile(np.arange(frames), (batch, 1)), axis=1)

    def both(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.sort(np.stack([first, second], axis=1), axis=2)

    return Views(
        visible=both(shuffled[:, : frames - hidden], shuffled[:, hidden:]),
        hidden=both(shuffled[:, frames - hidden :], shuffled[:, :hidden]),
    )


def take(tokens: Tensor, places: Tensor) -> Tensor:
    """The tokens (B, T, C) at `places` (B, V), int64: (B, V, C).

    No place may occur twice in a row; then the gradient is the same in every run, on GPUs too.
    """
    return torch.take_along_dim(tokens, places.unsqueeze(2), dim=1)
