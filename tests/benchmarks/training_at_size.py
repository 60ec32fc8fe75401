"""What training takes at FCVID's size, extrapolated from a few steps: `python -m tests.benchmarks.training_at_size`.

A training of two epochs on a few hundred random videos gives the seconds of a step, and of what an epoch begins with.
The whole has as many steps as the method's schedule says for all videos; what an epoch begins with grows with the
videos. Anchors, graphs and neighbours, found once, are left out: `fcvid_preparation.py` measures them.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch

from bench.base.process_state import deterministic
from bench.data.dataset import Summary
from bench.data.features import ArrayFeatures
from bench.encoding.fitting import choose_device, resolve_parameters
from bench.learning import loop
from bench.learning.context import FitContext
from bench.learning.deep_method import DeepMethod
from bench.learning.method import Method
from bench.learning.objective import as_objective
from bench.registry import load_registry

VIDEOS, FRAMES, DIMENSIONS, BITS = 45_585, 25, 4096, 64
HOUR = 3600


class Clock:
    """Seconds and steps of the last epoch of the stage at hand, and the hours of all stages at full size."""

    def __init__(self, videos: int, device: torch.device) -> None:
        self.videos, self.device = videos, device
        self.hours = 0.0
        self.updates = 0
        self._stepping, self._steps, self._epoch = 0.0, 0, 0.0

    def seconds(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def train(self, network: Any, objective: Any, features: Any, schedule: Any, *others: Any, **named: Any) -> Any:
        """`train` for two epochs, and what the whole schedule would take."""
        trained = TRAIN(network, objective, features, schedule.model_copy(update={"epochs": 2}), *others, **named)
        passes = len(as_objective(objective).passes())
        steps = len(schedule.batches(VIDEOS)) * passes
        updates = schedule.length(steps)
        begins = (self._epoch - self._stepping) * VIDEOS / self.videos * updates / steps
        self.hours += (updates * self._stepping / self._steps + begins) / HOUR
        self.updates += updates
        return trained

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While open, every training goes by this clock."""

        def whole_epoch(training: Any, *given: Any) -> Any:
            self._stepping, before, begun = 0.0, training.updates, self.seconds()
            row = WHOLE_EPOCH(training, *given)
            self._epoch, self._steps = self.seconds() - begun, training.updates - before
            return row

        def epoch(training: Any, *given: Any) -> Any:
            begun = self.seconds()
            row = EPOCH(training, *given)
            self._stepping += self.seconds() - begun
            return row

        users = [module for module in list(sys.modules.values()) if getattr(module, "train", None) is TRAIN]
        with ExitStack() as patches:
            for module in users:
                patches.enter_context(mock.patch.object(module, "train", self.train))
            patches.enter_context(mock.patch.object(loop.Training, "whole_epoch", whole_epoch))
            patches.enter_context(mock.patch.object(loop.Training, "epoch", epoch))
            yield


TRAIN, WHOLE_EPOCH, EPOCH = loop.train, loop.Training.whole_epoch, loop.Training.epoch


def extrapolate(names: Sequence[str], videos: int, device: torch.device) -> Iterator[tuple[type[Method], Any, Clock]]:
    """Each method, its parameters, and the clock after a training on so many random videos."""
    registry = load_registry()
    # As sparse and of the size of a network's activations.
    features = np.random.default_rng(0).standard_normal((videos, FRAMES, DIMENSIONS), np.float32)
    np.maximum(features, 0, out=features)
    recommended = registry.datasets["fcvid"].recommended
    summary = Summary(
        name="fcvid", title="FCVID", fingerprint="0" * 32, train_videos=VIDEOS, query_videos=1, gallery_videos=1,
        frames=FRAMES, dimensions=DIMENSIONS, classes=1, self_search=False,
    )  # fmt: skip
    for name in names:
        found = registry.method(name)
        # Clusters and anchors for few videos; they take next to no time in a step.
        few = {"anchors": 8} if "anchors" in found.Parameters.model_fields else {}
        parameters: Any = resolve_parameters(found, summary, recommended, few)
        if "clusters" in found.Parameters.model_fields and isinstance(parameters.clusters, int):
            parameters = parameters.model_copy(update={"clusters": min(parameters.clusters, videos // 2)})
        clock = Clock(videos, device)
        with clock.watching(), deterministic():
            found(BITS, parameters).fit(ArrayFeatures(features), FitContext(0, device))
        yield found, parameters, clock


def main() -> None:
    parser = argparse.ArgumentParser(description="Hours of training at FCVID's size, extrapolated from a few steps.")
    parser.add_argument("--videos", type=int, default=640, help="random videos to train on")
    parser.add_argument("--methods", help="such as bth,mcmsh; default: all published ones that train networks")
    given = parser.parse_args()
    methods = load_registry().methods.items()
    deep = sorted(name for name, found in methods if issubclass(found, DeepMethod) and found.authors)
    names = given.methods.split(",") if given.methods else deep
    print("| method | epochs | updates | seconds a step | hours |\n|---|---|---|---|---|")
    for found, parameters, clock in extrapolate(names, given.videos, choose_device("auto")):
        step = clock.hours * HOUR / clock.updates
        print(
            f"| {found.title} | {parameters.epochs} | {clock.updates:,} | {step:.3g} | {clock.hours:.3g} |", flush=True
        )


if __name__ == "__main__":
    main()
