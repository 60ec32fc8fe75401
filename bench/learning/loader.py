"""Batches on the training device: gathered from the resident features or their file, and read ahead if that is slow."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.base.processes import threads
from bench.data.features import Features
from bench.learning.context import FitContext
from bench.learning.items import Batch, Draw, on_device
from bench.learning.schedule import BaseSchedule

READERS = 2
ENCODED = 256
"""Videos that are encoded at once."""


class VideoLoader:
    """Training videos and single frames as tensors on the device; the same numbers wherever the features are kept."""

    def __init__(self, features: Features, schedule: BaseSchedule, context: FitContext) -> None:
        self._features, self._device = features, context.device
        residency, self._resident = context.residents.choose(features, context.device, schedule.precision, context.say)
        # bfloat16 is kept, since training computes in it; float16 is a storage format only.
        self._dtype = torch.bfloat16 if residency.dtype == torch.bfloat16 else torch.float32

    def batches(self, draws: Iterable[Callable[[], Draw]]) -> Iterator[Batch]:
        """The batches of the draws, in order. Threads load ahead where the device would wait."""
        if self._resident is not None and self._device.type == "cpu":
            # Reading ahead would take cores from the computation.
            yield from map(self._drawn, draws)
            return
        waiting: deque[Future[Batch]] = deque()
        with threads(READERS, "loader") as readers:
            try:
                for draw in draws:
                    waiting.append(readers.submit(self._drawn, draw))
                    if len(waiting) > READERS:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _drawn(self, draw: Callable[[], Draw]) -> Batch:
        return self.load(draw())

    def load(self, draw: Draw) -> Batch:
        """The batch for `draw`."""
        videos = {name: self._videos(rows) for name, rows in draw.videos.items()}
        corrupted = {
            name: plan.apply(videos[name], self._frames(plan.source_video, plan.source_frame))
            for name, plan in draw.corruption.items()
        }
        values = {name: on_device(value, self._device) for name, value in draw.values.items()}
        rows = {name: on_device(chosen, self._device) for name, chosen in draw.videos.items()}
        return Batch(videos, corrupted, values, rows)

    def encode(self, forward: Callable[..., Tensor], *aligned: NDArray[Any]) -> NDArray[np.float32]:
        """`forward(videos, *rows)` of all videos, each with its rows of the `aligned` arrays, as one array (N, …)."""
        blocks = []
        for start in range(0, len(self._features), ENCODED):
            part = np.arange(start, min(start + ENCODED, len(self._features)))
            rows = (on_device(values[part], self._device) for values in aligned)
            blocks.append(forward(self._videos(part), *rows).float().cpu().numpy())
        return np.concatenate(blocks)

    def _videos(self, rows: NDArray[np.int64]) -> Tensor:
        if self._resident is None:
            return self._placed(self._features.read(rows))
        return self._placed(self._resident[on_device(rows, self._resident.device)])

    def _frames(self, rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> Tensor:
        """Frame `numbers[i]` of video `rows[i]`, (n, D)."""
        if self._resident is None:
            return self._placed(self._features.read_frames(rows, numbers))
        home = self._resident.device
        return self._placed(self._resident[on_device(rows, home), on_device(numbers, home)])

    def _placed(self, values: NDArray[np.float32] | Tensor) -> Tensor:
        return on_device(values, self._device).to(self._dtype)
