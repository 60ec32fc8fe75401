"""Scripts of the videos: digits, with position, size, rotation and brightness in each frame."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .digits import IMAGE_RANGES, SplitName
from .parameters import Parameters
from .randomness import scene_stream

Floats = NDArray[np.float64]

CLOUD_CELLS = 8


@dataclasses.dataclass(frozen=True)
class Scenes:
    """The scripts of N videos of T frames with up to two digits each; lengths in pixels."""

    images: NDArray[np.int64]
    """(N, 2): rows of the two images among the digits; the second is -1 in videos of one digit."""
    centres: NDArray[np.float32]
    """(N, 2, T, 2): x and y of the digits' centres, from the frame's upper left corner."""
    sides: NDArray[np.float32]
    """(N, 2, T): sides of the squares that the 8 x 8 images fill."""
    angles: NDArray[np.float32]
    """(N, 2, T): rotations, in radians."""
    opacities: NDArray[np.float32]
    """(N, 2, T), 0 to 1."""
    brightness: NDArray[np.float32]
    """(N, T): factor on the whole frame, 0.7 to 1."""
    clouds: NDArray[np.float32]
    """(N, CLOUD_CELLS, CLOUD_CELLS), 0 to 1: the coarse background, to be interpolated to twice the frame's size."""
    cloud_offsets: NDArray[np.float32]
    """(N, T, 2), -1 to 1: x and y of the frame on the background; at -1 and 1 it touches the border."""

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, videos: slice | Sequence[int] | NDArray[np.integer[Any]]) -> Self:
        return type(self)(**{field.name: getattr(self, field.name)[videos] for field in dataclasses.fields(self)})


def draw_scenes(parameters: Parameters, split: SplitName) -> Scenes:
    """Draws the scripts of all videos of a split.

    The first digit drifts and bounces, swings and breathes (its size oscillates). In some videos a second digit passes
    through the frame meanwhile; in as many others it follows: it takes the first one's place at some moment.
    """
    count = getattr(parameters, f"{split}_videos")
    size, length = parameters.frame_size, parameters.frames
    time = np.arange(length)
    random = scene_stream(parameters.seed, split)

    images = random.integers(*IMAGE_RANGES[split], size=(count, 2))
    course = random.random(count)
    passes = course < parameters.second_digit_share / 2
    follows = ~passes & (course < parameters.second_digit_share)
    images[~(passes | follows), 1] = -1

    centres = _bouncing(random, count, time, size)
    centres[passes, 1] = _passing(random, count, time, size)[passes]

    opacities = np.zeros((count, 2, length))
    opacities[:, 0] = 1
    opacities[passes, 1] = 1
    moment = random.uniform(0.35, 0.65, (count, 1)) * length
    second = np.clip((time - moment) / 2 + 0.5, 0, 1)  # a cross-fade of two frames
    opacities[follows, 0], opacities[follows, 1] = 1 - second[follows], second[follows]

    sides = size * random.uniform(0.5, 0.65, (count, 2, 1)) * (1 + 0.12 * _waves(random, count, time))
    angles = np.deg2rad(random.uniform(-15, 15, (count, 2, 1)) + 15 * _waves(random, count, time))
    brightness = 0.85 + 0.15 * _waves(random, count, time)[:, 0]

    ends = random.uniform(-1, 1, (count, 2, 1, 2))
    progress = np.linspace(0, 1, length)[:, None]
    cloud_offsets = (1 - progress) * ends[:, 0] + progress * ends[:, 1]
    return Scenes(
        images=images,
        centres=centres.astype(np.float32),
        sides=sides.astype(np.float32),
        angles=angles.astype(np.float32),
        opacities=opacities.astype(np.float32),
        brightness=brightness.astype(np.float32),
        clouds=random.random((count, CLOUD_CELLS, CLOUD_CELLS), dtype=np.float32),
        cloud_offsets=cloud_offsets.astype(np.float32),
    )


def multi_hot(scenes: Scenes, classes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(N, 10) labels: 1 for the class of every digit that a video shows. `classes` are those of all digit images."""
    labels = np.zeros((len(scenes), 10), dtype=np.uint8)
    for images in scenes.images.T:
        shown = np.flatnonzero(images >= 0)
        labels[shown, classes[images[shown]]] = 1
    return labels


def _bouncing(random: np.random.Generator, count: int, time: NDArray[np.int64], size: int) -> Floats:
    """(count, 2, T, 2) centres that drift straight and bounce off the walls of the frame's inner part."""
    low, span = 0.3 * size, 0.4 * size
    start = random.uniform(0, span, (count, 2, 1, 2))
    heading = random.uniform(0, 2 * np.pi, (count, 2, 1))
    speed = size * random.uniform(0.01, 0.04, (count, 2, 1, 1))
    path = start + speed * np.stack([np.cos(heading), np.sin(heading)], axis=-1) * time[:, None]
    bounced: Floats = low + np.abs((path + span) % (2 * span) - span)
    return bounced


def _passing(random: np.random.Generator, count: int, time: NDArray[np.int64], size: int) -> Floats:
    """(count, T, 2) centres that come from outside the frame, pass through it in any of four directions, and leave."""
    length = len(time)
    moment = random.uniform(0.4, 0.6, (count, 1)) * length
    speed = size * random.uniform(2, 3, (count, 1)) / length * random.choice([-1, 1], (count, 1))
    along = size / 2 + speed * (time - moment)
    across = np.broadcast_to(size * random.uniform(0.3, 0.7, (count, 1)), along.shape)
    sideways = random.random((count, 1)) < 0.5
    return np.stack([np.where(sideways, along, across), np.where(sideways, across, along)], axis=-1)


def _waves(random: np.random.Generator, count: int, time: NDArray[np.int64]) -> Floats:
    """(count, 2, T) sine waves of random phase, with a quarter to one and a half periods in a video."""
    phase = random.uniform(0, 2 * np.pi, (count, 2, 1))
    periods = random.uniform(0.25, 1.5, (count, 2, 1))
    waves: Floats = np.sin(phase + 2 * np.pi * periods * time / len(time))
    return waves
