"""The paths whose speed is watched: what each does at a small size, and the kernels nearest to it."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import bench
from bench.data.features import ArrayFeatures
from bench.encoding.encoder import Encoder
from bench.encoding.modules import EncoderDescription
from bench.learning.context import FitContext
from bench.learning.deep_method import DeepMethod
from bench.learning.loop import train
from bench.learning.schedule import Schedule
from bench.learning.structure.anchor_graph import anchor_graph
from bench.learning.structure.kmeans import kmeans
from bench.metrics import evaluate
from bench.registry import load_registry
from bench.report.write import write_report
from bench.store.store import Store
from tests.report.conftest import Builder

from .calibration import Work

BUILT_IN = "bench.methods."
FRAMES, BITS = 25, 64


class SpeedPath(NamedTuple):
    """`prepare` makes what is needed and gives the work, whose time counts in units of `kernels`."""

    kernels: tuple[str, ...]
    prepare: Callable[[], Work]


def encoding(name: str) -> Work:
    """16 videos by networks that are not trained, 256 by what is fitted to them; features from memory."""
    method = load_registry().method(name)
    if not issubclass(method, DeepMethod) and not method.uses_labels:
        videos = random_videos(256, 256)
        return partial(bench.fit(name, videos, bits=BITS, device="cpu").encode, videos)
    parameters = method.Parameters()
    torch.manual_seed(0)
    module = method(BITS, parameters).build(FRAMES, 256).eval()
    description = EncoderDescription(
        method=name, bits=BITS, frames=FRAMES, dimensions=256, parameters=parameters.model_dump(mode="json")
    )
    encoder = Encoder(description, module)
    return partial(encoder.encode, random_videos(16, 256))


def training_step(name: str) -> Work:
    """One step of a narrow network with a batch of 32 videos: draws, loss, gradients, Adam."""
    found = load_registry().method(name)
    assert issubclass(found, DeepMethod)
    method = found(BITS, found.Parameters.model_validate({"hidden": 32, "anchors": 8, "epochs": 1}))
    features = ArrayFeatures(random_videos(32, 128))
    context = FitContext(0)
    context.seed_torch("weights")
    network = method.network(FRAMES, 128).train()
    objective = method.objective(network, features, context)
    schedule = Schedule.model_validate({"epochs": 1, "batch_size": 32})
    return lambda: train(network, objective, features, schedule, FitContext(0), "speed")


def evaluation() -> Work:
    """1,200 queries among themselves, 64 bits, 20 classes."""
    random = np.random.default_rng(0)
    codes = random.choice(np.array([-1, 1], dtype=np.int8), (1200, BITS))
    return partial(evaluate, codes, random.integers(0, 20, 1200))


def anchors() -> Work:
    """k-means with 50 anchors among 2,000 videos, and the anchor graph over them."""
    points = random_videos(2000, 128)[:, 0].copy()
    return lambda: anchor_graph(points, kmeans(points, 50, 0, 5))


def start_up() -> Work:
    """The command line, from nothing to its help."""
    command = [sys.executable, "-c", "from bench.cli import main; main(['--help'])"]
    return partial(subprocess.run, command, stdout=subprocess.DEVNULL, check=True)


def rendering() -> Work:
    """The report of one stored run under one protocol: text, tables, figures in both formats."""
    folder = Path(tempfile.mkdtemp())
    store = Store(folder / "results")
    run = Builder(store).add("alpha", 16)
    # Each figure is a fifth of a second: costs, losses and the other protocol would bring seven more.
    plain: dict[str, Any] = {"costs": None, "history": [], "metrics": {"paper": run.record.metrics["paper"]}}
    runs = [store.rewrite(run, run.record.model_copy(update=plain), lambda folder: None)]

    def render() -> None:
        # A report that would come out as it stands is left as it is.
        shutil.rmtree(folder / "report", ignore_errors=True)
        write_report(runs, folder / "report")

    return render


def random_videos(count: int, dimensions: int) -> np.ndarray:
    """Features (count, 25, dimensions)."""
    return np.random.default_rng(0).standard_normal((count, FRAMES, dimensions), dtype=np.float32)


def _hashes() -> list[str]:
    """The built-in methods that give codes."""
    registry = load_registry()
    own = {name: found for name, found in registry.methods.items() if registry.origins[found].startswith(BUILT_IN)}
    return sorted(name for name, found in own.items() if not found.reference)


PATHS = {
    **{f"encode-{name}": SpeedPath(("product", "copy"), partial(encoding, name)) for name in _hashes()},
    **{f"train-{name}": SpeedPath(("product", "copy"), partial(training_step, name)) for name in ("bth", "mcmsh")},
    "evaluate": SpeedPath(("product", "copy", "loop"), evaluation),
    "anchor-graph": SpeedPath(("product", "copy"), anchors),
    "start-up": SpeedPath(("interpreter",), start_up),
    "render-report": SpeedPath(("product", "copy", "loop"), rendering),
}
