"""A small dataset, methods that note what they do and wait for the test, and ones that do harm."""

import ctypes
import os
import time
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from torch import Tensor, nn

from bench.data.dataset import Dataset, DatasetSource, Split, Summary
from bench.data.features import ArrayFeatures, Features
from bench.learning.context import FitContext
from bench.learning.deep_method import DeepMethod
from bench.learning.items import Draw
from bench.learning.method import Method
from bench.learning.objective import Objective
from bench.learning.schedule import Schedule

FRAMES, DIMENSIONS, CLASSES = 4, 16, 3
SIZES = {"train": 40, "query": 12, "gallery": 30}


class Small(DatasetSource):
    name, title = "small", "Small"

    def summary(self) -> Summary:
        return Summary(
            name=self.name,
            title=self.title,
            fingerprint="small",
            train_videos=SIZES["train"],
            query_videos=SIZES["query"],
            gallery_videos=SIZES["gallery"],
            frames=FRAMES,
            dimensions=DIMENSIONS,
            classes=CLASSES,
            self_search=False,
        )

    def load(self) -> Dataset:
        random = np.random.default_rng(0)
        centres = random.normal(size=(CLASSES, 1, DIMENSIONS))
        splits = []
        for videos in SIZES.values():
            classes = np.arange(videos) % CLASSES
            values = centres[classes] + random.normal(size=(videos, FRAMES, DIMENSIONS))
            labels = np.eye(CLASSES, dtype=np.uint8)[classes]
            splits.append(Split(ArrayFeatures(values.astype(np.float32)), labels))
        train, query, gallery = splits
        return Dataset(self.summary(), train, query, gallery, ("a", "b", "c"))


class Pooled(nn.Module):
    def __init__(self, dimensions: int, bits: int) -> None:
        super().__init__()
        self.layer = nn.Linear(dimensions, bits)

    def forward(self, videos: Tensor) -> Tensor:
        return self.layer(videos).tanh().mean(dim=1)


class WatchedSchedule(Schedule):
    hooks: str = ""
    """A folder for notes: `epochs`, one a line; `waiting`, with the process that waits in the third for `go`."""


class WatchedObjective(Objective):
    def __init__(self, network: nn.Module, hooks: str, context: FitContext) -> None:
        self.network, self.hooks, self.context, self.epoch = network, hooks, context, -1

    def draw(self, videos: Any, among: Any, random: np.random.Generator) -> Draw:
        return Draw({"first": videos, "second": random.permutation(videos)})

    def loss(self, batch: Any, epoch: int) -> dict[str, Tensor]:
        if self.hooks and epoch != self.epoch:
            self.note(Path(self.hooks), epoch)
        self.epoch = epoch
        first, second = (self.network(batch.videos[name]) for name in ("first", "second"))
        return {"loss": (first * second).square().mean() + 0.1 * (first.square() - 1).square().mean()}

    def note(self, hooks: Path, epoch: int) -> None:
        with (hooks / "epochs").open("a") as file:
            file.write(f"{epoch}\n")
        if epoch == 2 and not (hooks / "go").exists():
            (hooks / "note").write_text(str(os.getpid()))
            (hooks / "note").rename(hooks / "waiting")
            while not ((hooks / "go").exists() or self.context.stop()):
                time.sleep(0.01)


class Watched(DeepMethod):
    """Saves its state after every epoch."""

    name, title, Parameters = "watched", "Watched", WatchedSchedule
    parameters: WatchedSchedule

    def network(self, frames: int, dimensions: int) -> nn.Module:
        return Pooled(dimensions, self.bits)

    def objective(self, network: nn.Module, features: Features, context: FitContext) -> WatchedObjective:
        if context.states:
            context.states.seconds = 0.0
        return WatchedObjective(network, self.parameters.hooks, context)


class Harmful(Method):
    title = "Harmful"

    def build(self, frames: int, dimensions: int) -> nn.Module:
        return Pooled(dimensions, self.bits)

    def fit(self, features: Features, context: FitContext) -> nn.Module:
        self.harm()
        return self.build(*features.shape[1:])

    @abstractmethod
    def harm(self) -> None: ...


class Segfault(Harmful):
    name = "segfault"

    def harm(self) -> None:
        ctypes.string_at(0)


class KillsWorker(Harmful):
    """Kills the process that Ray runs: not its parent, which starts processes, but that one's."""

    name = "kills-worker"

    def harm(self) -> None:
        psutil.Process().parents()[1].kill()
        time.sleep(60)
