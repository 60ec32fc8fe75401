"""Methods that misbehave, and one that does not; they see labels instead of features, which costs no measuring."""

import asyncio
import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.data.features import Features
from bench.learning.context import FitContext
from bench.learning.deep_method import DeepMethod
from bench.learning.items import Draw
from bench.learning.method import Method
from bench.learning.schedule import Schedule


class Pooled(nn.Module):
    def __init__(self, dimensions: int, bits: int) -> None:
        super().__init__()
        self.layer = nn.Linear(dimensions, bits)

    def forward(self, videos: Tensor) -> Tensor:
        return self.layer(videos).tanh().mean(dim=1)


class Objective:
    """One that does not derive from `bench.method.Objective`, as docs taught before that had hooks."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def draw(self, videos: Any, among: Any, random: np.random.Generator) -> Draw:
        return Draw({"first": videos, "second": random.permutation(videos)})

    def loss(self, batch: Any, epoch: int) -> dict[str, Tensor]:
        if epoch == 1:
            print("in the second epoch", file=sys.stderr, flush=True)
        first, second = (self.network(batch.videos[name]) for name in ("first", "second"))
        return {"loss": (first * second).square().mean() + 0.1 * (first.square() - 1).square().mean()}


class Steady(DeepMethod):
    """Notes in the file that the environment names who trained it."""

    name, title, Parameters, uses_labels = "steady", "Steady", Schedule, True

    def network(self, frames: int, dimensions: int) -> nn.Module:
        return Pooled(dimensions, self.bits)

    def objective(self, network: nn.Module, features: Features, context: FitContext) -> Any:
        if "TRAINED" in os.environ:
            with Path(os.environ["TRAINED"]).open("a") as file:
                file.write(f"{self.bits} {context.seed} {os.getpid()}\n")
        return Objective(network)


class Untrained(Method):
    title, uses_labels = "Untrained", True

    def build(self, frames: int, dimensions: int) -> nn.Module:
        return Pooled(dimensions, self.bits)

    def fit(self, features: Features, context: FitContext) -> nn.Module:
        self.misbehave()
        context.seed_torch("weights")
        return self.build(*features.shape[1:])

    def misbehave(self) -> None:
        raise NotImplementedError


class Plain(Untrained):
    name = "plain"

    def misbehave(self) -> None:
        pass


class Segfault(Untrained):
    name = "segfault"

    def misbehave(self) -> None:
        ctypes.string_at(0)


class Abort(Untrained):
    name = "abort"

    def misbehave(self) -> None:
        os.abort()


class Exits(Untrained):
    name = "exits"

    def misbehave(self) -> None:
        print("last words", file=sys.stderr, flush=True)
        os._exit(3)


class Leaves(Untrained):
    name = "leaves"

    def misbehave(self) -> None:
        sys.exit("enough")


class Hangs(Untrained):
    name = "hangs"

    def misbehave(self) -> None:
        print("hanging", file=sys.stderr, flush=True)
        while True:
            time.sleep(0.01)


class Hog(Untrained):
    name = "hog"

    def misbehave(self) -> None:
        kept = []
        while True:
            kept.append(np.ones(2**20))
            time.sleep(0.001)


class Raises(Untrained):
    name = "raises"

    def misbehave(self) -> None:
        raise ValueError("nothing\nworks")


class NamesFile(Untrained):
    """Names a file whose name is not UTF-8."""

    name = "names-file"

    def misbehave(self) -> None:
        raise RuntimeError("caf\udce9 is missing")


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Silent(Untrained):
    name = "silent"

    def misbehave(self) -> None:
        raise SilentError


class Talks(Untrained):
    name = "talks"

    def misbehave(self) -> None:
        raise ValueError("word " * 10**6)


class Cancelled(Untrained):
    name = "cancelled"

    def misbehave(self) -> None:
        raise asyncio.CancelledError("no longer wanted")


class Interrupted(Untrained):
    name = "interrupted"

    def misbehave(self) -> None:
        raise KeyboardInterrupt


class Nan(Untrained):
    name = "nan"

    def fit(self, features: Features, context: FitContext) -> nn.Module:
        module = self.build(*features.shape[1:])
        for weight in module.parameters():
            nn.init.constant_(weight, torch.nan)
        return module


class WrongShape(Untrained):
    name = "wrong-shape"

    def fit(self, features: Features, context: FitContext) -> nn.Module:
        return Pooled(features.shape[2], self.bits + 1)


class Constant(Untrained):
    name = "constant"

    def fit(self, features: Features, context: FitContext) -> nn.Module:
        module = self.build(*features.shape[1:])
        for weight in module.parameters():
            nn.init.constant_(weight, 1.0)
        return module


class Wanders(Untrained):
    """Leaves the working directory for another."""

    name = "wanders"

    def misbehave(self) -> None:
        os.chdir("/")


class HangsOnce(Untrained):
    """Hangs in the first process that comes, and leaves its number in the file that the environment names."""

    name = "hangs-once"

    def misbehave(self) -> None:
        mark = Path(os.environ["TRAINED"])
        if not mark.exists():
            mark.write_text(str(os.getpid()))
            Hangs.misbehave(self)  # type: ignore[arg-type]


class HoldsLock(Untrained):
    """Sleeps in C with the interpreter's lock held, so that none of its threads can run."""

    name = "holds-lock"

    def misbehave(self) -> None:
        Path(os.environ["TRAINED"]).write_text(str(os.getpid()))
        ctypes.PyDLL(None).sleep(600)
