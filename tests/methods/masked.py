"""Golden files of masked auto-encoders: masks as frame numbers, and the weights that are not stored but made."""

import math
import zlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.conftest import GOLDEN

PRECISION = 1e-5


def golden(name: str) -> dict[str, NDArray[Any]]:
    """A golden file's arrays."""
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return dict(arrays)


def tensors(name: str) -> dict[str, Tensor]:
    """A golden file's numbers."""
    return {key: torch.from_numpy(np.asarray(value)) for key, value in golden(name).items() if value.dtype.kind != "U"}


def assert_near(found: Tensor, expected: Tensor, name: str = "", tolerance: float = PRECISION) -> None:
    """Equal to `tolerance` of the largest number."""
    assert found.shape == expected.shape, name
    error = float((found.detach() - expected).abs().max() / expected.abs().max())
    assert error <= tolerance, f"{name}: {error:.1e}"


def frame_numbers(masked: Tensor) -> tuple[Tensor, Tensor]:
    """The visible (…, V) and hidden frames (…, M) of masks (…, T), in temporal order."""
    places = torch.arange(masked.shape[-1]).expand(masked.shape)
    return places[~masked].view(*masked.shape[:-1], -1), places[masked].view(*masked.shape[:-1], -1)


def recipe(name: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """A weight of the full-size file: splitmix64, begun from the authors' name of it."""
    count = math.prod(shape)
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = z + (np.uint64(zlib.crc32(name.encode())) << np.uint64(32)) + np.uint64(seed)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    u = ((z >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0).reshape(shape)
    if name.endswith(("mask_token", "pos_embed")):
        u = u * 0.5
    elif len(shape) > 1:
        u = u * (3.0 / shape[1]) ** 0.5
    else:
        u = u * 0.1 + (1.0 if name.endswith(("norm.weight", "norm1.weight", "norm2.weight", "ln.weight")) else 0.0)
    return u.astype(np.float32)
