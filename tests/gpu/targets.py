"""What a GPU should do and does, in one run of minutes: `python -m tests.gpu.targets`.

Every target stands beside plain PyTorch on the same device, or beside the matrix products alone. Whole trainings are
extrapolated from a few steps at FCVID's size, by `tests.benchmarks.training_at_size`. What fails is a row, and the rest
goes on. `--tiny` runs the same code at a small size, on the processor where there is no device: its figures mean
nothing.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any
from unittest import mock

import numpy as np
import torch
from bench.methods.bth import Bth, BthParameters
from bench.methods.mcmsh import Mcmsh, McmshParameters
from bench.methods.mcmsh.mixer import McMlp

from bench.base import cuda_graph
from bench.base.process_state import deterministic
from bench.base.progress import SilentProgress
from bench.base.text import one_line
from bench.data.features import ArrayFeatures
from bench.encoding.fitting import choose_device
from bench.encoding.modules import inference_module
from bench.encoding.replayed import replayed
from bench.learning.context import FitContext
from bench.learning.deep_method import DeepMethod
from bench.learning.items import Batch
from bench.learning.loader import VideoLoader
from bench.learning.loop import Training
from bench.learning.objective import Objective
from bench.learning.schedule import Schedule
from bench.metrics import evaluate, evaluator, pack_codes
from bench.metrics.cuda import ROWS, DeviceCounter
from bench.registry import load_registry
from tests.benchmarks import training_at_size
from tests.benchmarks.test_training_speed import plain_bth_loss, plain_mcmsh_loss, step, with_torch_dropout
from tests.metrics.test_golden import clustered

BITS = 64
COUNT = DeviceCounter._count


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    frames: int = 25
    dimensions: int = 4096
    batch: int = 256
    codes: int = 45_600
    steps: int = 20
    epoch: int = 178
    """Steps of an epoch, as FCVID has: each captures its own."""
    rounds: int = 5
    videos: int = 10_240
    """For an extrapolated training: enough for epochs of which most steps are replayed."""


TINY = Sizes(frames=25, dimensions=32, batch=4, codes=500, steps=1, epoch=2, rounds=1, videos=16)


@dataclass(frozen=True)
class Target:
    """One figure: what was measured, at most what it should be, and beside what."""

    what: str
    measured: float
    unit: str
    most: float | None = None
    beside: str = ""

    def __str__(self) -> str:
        aim = "–" if self.most is None else f"≤ {self.most:g}"
        met = "" if self.most is None else "met" if self.measured <= self.most else "missed"
        return f"| {self.what} | {self.measured:.3g} {self.unit} | {aim} | {met} | {self.beside} |"


class Clock:
    """Times calls on a device, in turn, until the seconds that it has are used up."""

    def __init__(self, device: torch.device, sizes: Sizes, seconds: float = 60) -> None:
        self.device, self.sizes = device, sizes
        self._until = time.monotonic() + seconds

    def seconds(self, *calls: Callable[[], object], repeats: int) -> list[float]:
        """The median seconds of each call, measured in turn after a warm-up; once at least."""
        taken: list[list[float]] = [[] for _ in calls]
        for turn in range(1 + self.sizes.rounds):
            if turn > 1 and time.monotonic() > self._until:
                break
            for call, times in zip(calls, taken, strict=True):
                self._finish()
                begin = time.perf_counter()
                for _ in range(repeats):
                    call()
                self._finish()
                if turn:
                    times.append((time.perf_counter() - begin) / repeats)
        return [statistics.median(times) for times in taken]

    def _finish(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def training_step(method: DeepMethod, most: float, clock: Clock) -> Iterator[Target]:
    """A step of a whole epoch without its data, by deterministic algorithms as in every run; in at most `most`."""
    network, objective, batch = prepared(method, clock)
    plain = with_torch_dropout(network)

    def training() -> Training:
        return Training(network, objective, Schedule.model_validate({}), FitContext(0, clock.device, say=print), "step")

    def epoch(of: Training) -> None:
        with SilentProgress().task("", 1) as task:
            of.epoch(0, repeat(batch, clock.sizes.epoch), task)

    ours = training()
    with mock.patch.dict(cuda_graph.CAPTURES, clear=True):
        computed = training()
    theirs = step(torch.optim.Adam(plain.parameters(), 3e-4), lambda: plain_loss(plain, batch))
    with deterministic():
        taken = clock.seconds(lambda: epoch(ours), lambda: epoch(computed), repeats=1)
    (plainly,) = clock.seconds(theirs, repeats=clock.sizes.steps)
    a_step, uncaptured = (seconds / clock.sizes.epoch for seconds in taken)
    beside = f"{plainly / a_step:.1f} times faster than plain; not captured: {1e3 * uncaptured:.3g} ms"
    yield Target(f"a step of {method.title}", 1e3 * a_step, "ms", most, beside)


def prepared(method: DeepMethod, clock: Clock) -> tuple[torch.nn.Module, Objective, Batch]:
    """A network on the device, its objective, and one batch."""
    sizes, context = clock.sizes, FitContext(0, clock.device)
    shape = (max(64, sizes.batch), sizes.frames, sizes.dimensions)
    features = ArrayFeatures(np.maximum(np.random.default_rng(0).standard_normal(shape, dtype=np.float32), 0))
    context.seed_torch("weights")
    network = method.network(sizes.frames, sizes.dimensions).to(clock.device).train()
    objective = method.objective(network, features, context)
    loader = VideoLoader(features, Schedule.model_validate({"batch_size": sizes.batch}), context)
    everything = np.arange(len(features))
    return network, objective, loader.load(objective.draw(everything[: sizes.batch], everything, context.random("it")))


def plain_loss(plain: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """The loss as the papers describe it, one video of the items after the other."""
    if not isinstance(plain, McMlp):
        return plain_bth_loss(plain, batch)
    names = ("similar", "dissimilar1", "dissimilar2")
    videos = [batch.corrupted["first"], batch.corrupted["second"], *(batch.videos[name] for name in names)]
    return plain_mcmsh_loss(plain, videos, dict(batch.values))


def encoding(clock: Clock) -> Iterator[Target]:
    """The merged network, replayed on what is on the device, beside its plain definition and its matrix products."""
    sizes = clock.sizes
    method = load_registry().method("mcmsh")
    made = method(BITS, method.Parameters())
    plain = made.build(sizes.frames, sizes.dimensions).eval().to(clock.device)
    for name in ("float32", "bfloat16"):
        dtype = getattr(torch, name)
        merged = replayed(inference_module(plain).to(clock.device, dtype), clock.device)
        for count in (1, sizes.batch):
            videos = torch.randn(count, sizes.frames, sizes.dimensions, device=clock.device)
            rounded = videos.to(dtype)
            products = matrix_products(count, sizes, rounded)
            with torch.inference_mode():
                calls = (
                    lambda merged=merged, given=rounded: merged(given),
                    lambda given=videos: plain(given),
                    products,
                )
                ours, plainly, alone = clock.seconds(*calls, repeats=2 * sizes.steps)
            beside = f"{plainly / ours:.2f} times faster than plain float32"
            if count == 1:
                yield Target(f"encoding one video, {name}", 1e3 * ours, "ms", 0.3, beside)
            else:
                yield Target(f"encoding {count}, {name}, against its products", ours / alone, "times", 1.5, beside)


def matrix_products(count: int, sizes: Sizes, videos: torch.Tensor) -> Callable[[], None]:
    """The multiply-adds of MC-MLP with 256 channels: the projection, and the rest as square products."""
    hidden, rows = 256, count * sizes.frames
    weight = torch.randn(sizes.dimensions, hidden, device=videos.device, dtype=videos.dtype)
    square = torch.randn(hidden, hidden, device=videos.device, dtype=videos.dtype)
    # 46.05 million multiply-adds a video at the papers' size, of which 26.2 in the projection.
    left = round((46_051_156 - 25 * 4096 * hidden) / (25 * hidden * hidden))
    given, out = videos.reshape(rows, sizes.dimensions), torch.randn(rows, hidden, device=videos.device).to(videos)

    def products() -> None:
        torch.mm(given, weight)
        for _ in range(left):
            torch.mm(out, square)

    return products


def evaluation(clock: Clock) -> Iterator[Target]:
    """FCVID's size on the device, beside all cores of the processor; the scores are the same."""
    codes, labels = clustered(clock.sizes.codes)
    packed, counting = pack_codes(codes), list[float]()

    def count(counter: DeviceCounter, first: int) -> Any:
        begin = time.perf_counter()
        found = COUNT(counter, first)
        counting.append(time.perf_counter() - begin)
        return found

    def refused(*_given: object) -> Any:
        raise RuntimeError("the device did not evaluate; standard error says why")

    def on(device: str | None) -> object:
        with ExitStack() as patches:
            patches.enter_context(mock.patch.object(evaluator, "find_device", lambda *_: device))
            patches.enter_context(mock.patch.object(DeviceCounter, "_count", count))
            if device:
                patches.enter_context(mock.patch.object(evaluator, "_processor_counter", lambda *_: refused))
            return evaluate(packed, labels)

    device = str(clock.device) if clock.device.type == "cuda" else None
    assert on(device) == on(None)
    ours, processor = clock.seconds(lambda: on(device), lambda: on(None), repeats=1)
    launches = -(-clock.sizes.codes // ROWS)
    yield Target(
        f"evaluation of {clock.sizes.codes:,} codes", 1e3 * ours, "ms", 50,
        f"all cores: {1e3 * processor:.0f} ms; on the device: {1e3 * sum(counting[-launches:]):.1f} ms",
    )  # fmt: skip


def whole_training(name: str, most: float, clock: Clock) -> Iterator[Target]:
    """A training at FCVID's size, extrapolated; in at most so many minutes."""
    for found, _, extrapolated in training_at_size.extrapolate([name], clock.sizes.videos, clock.device):
        beside = f"{extrapolated.updates:,} steps, without preparation"
        yield Target(f"a training of {found.title}", 60 * extrapolated.hours, "minutes", most, beside)


PARTS: dict[str, tuple[float, Callable[[Clock], Iterator[Target]]]] = {
    "steps of MCMSH": (90, partial(training_step, Mcmsh(BITS, McmshParameters(anchors=4)), 20)),
    "steps of BTH": (50, partial(training_step, Bth(BITS, BthParameters(anchors=4, epochs=1)), 7)),
    "encoding": (60, encoding),
    "evaluation": (40, evaluation),
    "training of MCMSH": (60, partial(whole_training, "mcmsh", 3)),
    "training of ConMH": (60, partial(whole_training, "conmh", 90)),
}
"""What is measured: at most so many seconds, after a warm-up, of targets."""


def rows(device: torch.device, sizes: Sizes) -> Iterator[str]:
    """The lines of the table, and one about the time that each part took."""
    taken = {}
    for name, (seconds, part) in PARTS.items():
        begin = time.monotonic()
        try:
            yield from map(str, part(Clock(device, sizes, seconds)))
        except Exception as error:
            yield f"| {name} | failed: {one_line(f'{type(error).__name__}: {error}')[:300]} | | | |"
        taken[name] = time.monotonic() - begin
    yield "\n" + ", ".join(f"{name}: {seconds:.0f} s" for name, seconds in taken.items())
    yield f"{sum(taken.values()):.0f} s in all"


def main() -> None:
    """Print the targets as a table."""
    parser = argparse.ArgumentParser(description="Measure what a GPU should do and does.")
    parser.add_argument("--tiny", action="store_true", help="try the script at a small size")
    tiny, device = parser.parse_args().tiny, choose_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    print(f"{name}, PyTorch {torch.__version__}\n\n| what | measured | aim | | beside |\n|---|---|---|---|---|")
    with mock.patch.object(training_at_size, "DIMENSIONS", TINY.dimensions) if tiny else nullcontext():
        for row in rows(device, TINY if tiny else Sizes()):
            print(row, flush=True)


if __name__ == "__main__":
    main()
