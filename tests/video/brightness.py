"""An extractor whose values can be computed by hand, and interruptions of its work; processes import it by name."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.base.progress import SilentProgress, Task
from bench.video.backbones import Backbone
from bench.video.decoding import Sampling
from bench.video.extract import extract
from bench.video.extractor import Extractor
from bench.video.manifest import Settings
from bench.video.preprocessing import Preprocessing
from bench.video.sources import find_videos

from .clips import numbered

QUARTERS = 4


def brightness(pixels: torch.Tensor) -> torch.Tensor:
    """The mean of each quarter of the columns of red."""
    rows, columns = pixels.shape[2:]
    return pixels[:, 0].reshape(-1, rows, QUARTERS, columns // QUARTERS).mean(dim=(1, 3))


def brightness_of(number: int) -> NDArray[np.float64]:
    """The values (4,) of a frame that shows a number."""
    means: NDArray[np.float64] = numbered(number)[..., 0].reshape(64, QUARTERS, -1).mean(axis=(0, 2)) / 255
    return means


def extractor(weights: str = "first") -> Extractor:
    preprocessing = Preprocessing(resize=64, crop=64, mean=(0,) * 3, std=(1,) * 3)
    backbone = Backbone("brightness", "none", brightness, preprocessing, weights, torch.device("cpu"))
    settings = Settings(
        backbone="brightness",
        dimensions=QUARTERS,
        weights=weights,
        weights_file=None,
        sampling=Sampling(frames=3, preprocessing=preprocessing),
        versions={},
    )
    return Extractor(backbone, settings)


class InterruptedAfter(SilentProgress):
    """Ends the work after some videos, as Ctrl-C does; or the process, which cannot prevent it."""

    def __init__(self, count: int, kill: bool = False) -> None:
        self._left, self._kill = count, kill

    @contextmanager
    def task(self, description: str, steps: int) -> Iterator[Task]:
        yield self

    def advance(self, status: str = "") -> None:
        self._left -= 1
        if not self._left and self._kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if not self._left:
            raise KeyboardInterrupt


def extract_until_killed(videos: Path, out: Path, count: int) -> None:
    """Extract `count` videos; a process of its own does not survive it."""
    extract(find_videos(videos), extractor(), out, 1, InterruptedAfter(count, kill=True))
