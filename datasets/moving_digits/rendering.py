"""Grey frames from scripts, many at a time: a digit in a frame is one affine sampling of its image."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from .digits import SplitName, load_digits
from .motion import Scenes
from .parameters import Parameters
from .randomness import noise_stream

TEXTURE_SIZE = 40
"""Side of the interpolated digit images: four pixels for each of the 8 pixels, and for one more on each border."""
BORDERED = 10 / 8
"""Side of an image with its border, in sides of the image."""
VIDEOS_AT_ONCE = 32
"""Few enough for a batch's arrays to stay in the processor's cache."""


def render(
    parameters: Parameters, split: SplitName, scenes: Scenes, videos: Sequence[int] | NDArray[np.integer[Any]]
) -> NDArray[np.uint8]:
    """Renders the videos with these indices, (n, T, H, W), out of a split whose scripts are `scenes`.

    A video's frames depend on the parameters, its split and its index, not on the others asked for.
    """
    indices = np.asarray(videos, dtype=np.int64)
    size = parameters.frame_size
    frames = np.empty((len(indices), parameters.frames, size, size), dtype=np.uint8)
    for start in range(0, len(indices), VIDEOS_AT_ONCE):
        batch = indices[start : start + VIDEOS_AT_ONCE]
        picture = _picture(parameters, scenes[batch])
        picture += parameters.noise * _noise(parameters, split, batch)
        frames[start : start + len(batch)] = picture.mul_(255).round_().clamp_(0, 255).numpy()
    return frames


def _picture(parameters: Parameters, scenes: Scenes) -> torch.Tensor:
    """(n, T, H, W) frames in 0 to 1, without noise."""
    size = parameters.frame_size
    picture = _background(scenes, size).mul_(parameters.clutter)
    picture = torch.maximum(picture, _digit(scenes, 0, size))
    accompanied = np.flatnonzero(scenes.images[:, 1] >= 0)
    picture[accompanied] = torch.maximum(picture[accompanied], _digit(scenes[accompanied], 1, size))
    return picture.mul_(torch.from_numpy(scenes.brightness)[:, :, None, None])


@functools.cache
def _textures() -> torch.Tensor:
    """(1797, 1, TEXTURE_SIZE, TEXTURE_SIZE) smooth images of the digits, 0 to 1."""
    images = torch.from_numpy(load_digits()[0])[:, None] / 16
    bordered = functional.pad(images, (1, 1, 1, 1))
    return functional.interpolate(bordered, size=TEXTURE_SIZE, mode="bicubic").clamp_(0, 1)


def _digit(scenes: Scenes, which: int, size: int) -> torch.Tensor:
    """(n, T, H, W) brightness of each video's first (`which` = 0) or second (1) digit, 0 beside it."""
    centre = torch.from_numpy(scenes.centres[:, which]) * (2 / size) - 1
    zoom = size / (BORDERED * torch.from_numpy(scenes.sides[:, which]))
    angle = torch.from_numpy(scenes.angles[:, which])
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    x, y = centre.unbind(-1)
    theta = torch.stack([cosine, sine, -cosine * x - sine * y, -sine, cosine, sine * x - cosine * y], dim=-1)
    digit = _sample(_textures()[scenes.images[:, which]], theta.view(*theta.shape[:-1], 2, 3), size, "zeros")
    return digit.mul_(torch.from_numpy(scenes.opacities[:, which])[..., None, None])


def _background(scenes: Scenes, size: int) -> torch.Tensor:
    """(n, T, H, W) clouds in 0 to 1, drifting."""
    clouds = torch.from_numpy(scenes.clouds)[:, None]
    clouds = functional.interpolate(clouds, size=2 * size, mode="bicubic").clamp_(0, 1)
    theta = torch.zeros(*scenes.cloud_offsets.shape[:2], 2, 3)
    theta[..., 0, 0] = theta[..., 1, 1] = 0.5
    theta[..., 2] = 0.5 * torch.from_numpy(scenes.cloud_offsets)
    return _sample(clouds, theta, size, "border")


def _sample(images: torch.Tensor, theta: torch.Tensor, size: int, padding: str) -> torch.Tensor:
    """(n, T, size, size) views of (n, 1, h, w) images, mapped by (n, T, 2, 3) from frame to image, both in -1 to 1."""
    count, length = theta.shape[:2]
    # What functional.affine_grid computes; it takes one small matrix product a frame, which is much slower.
    steps = (2 * torch.arange(size) + 1) / size - 1
    grid = torch.empty(count, length, size, size, 2)
    for axis in (0, 1):
        across, down, shift = theta[..., axis, :, None].unbind(2)
        torch.add((across * steps)[..., None, :], (down * steps + shift)[..., None], out=grid[..., axis])
    # An image's frames are sampled as one tall picture, so that the image is not copied for each of them.
    tall = grid.flatten(1, 2)
    views = functional.grid_sample(images, tall, mode="bilinear", padding_mode=padding, align_corners=False)
    return views.view(count, length, size, size)


def _noise(parameters: Parameters, split: SplitName, videos: NDArray[np.int64]) -> torch.Tensor:
    """(n, T, H, W) standard normal noise."""
    noise = np.empty((len(videos), parameters.frames, parameters.frame_size, parameters.frame_size), dtype=np.float32)
    for video, out in zip(videos, noise, strict=True):
        noise_stream(parameters.seed, split, int(video)).standard_normal(out=out, dtype=np.float32)
    return torch.from_numpy(noise)
