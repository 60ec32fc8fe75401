"""What a CUDA device brings, beside the processor and beside plain definitions on the same device:

    pytest tests/benchmarks/test_cuda_speed.py --benchmark-only -s

At the papers' size: 25 frames of 4096 features, 64 bits, batches of 256. Skipped where there is no device.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from bench.methods.bth import Bth, BthParameters
from bench.methods.mcmsh import Mcmsh, McmshParameters
from bench.methods.mcmsh.mixer import McMlp
from torch import Tensor

from bench.data.features import ArrayFeatures
from bench.encoding.encoder import Encoder
from bench.encoding.modules import EncoderDescription, inference_module
from bench.encoding.replayed import replayed
from bench.learning.context import FitContext
from bench.learning.deep_method import DeepMethod
from bench.learning.loader import VideoLoader
from bench.learning.loop import train
from bench.learning.schedule import Schedule
from bench.metrics import evaluate, evaluator
from bench.registry import load_registry
from tests.benchmarks.test_evaluator_speed import KS
from tests.benchmarks.test_training_speed import plain_mcmsh_loss, step, with_torch_dropout
from tests.metrics.test_golden import clustered

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

CUDA = torch.device("cuda")
FRAMES, DIMENSIONS, BITS, BATCH = 25, 4096, 64, 256
VIDEOS = 8 * BATCH
Compare = Callable[[Callable[[], object], Callable[[], object], int], float]


@pytest.fixture(scope="module")
def features() -> ArrayFeatures:
    """Random features of 2,048 videos, 0.8 GB."""
    drawn = torch.randn(VIDEOS, FRAMES, DIMENSIONS, generator=torch.Generator().manual_seed(0))
    return ArrayFeatures(drawn.relu_().numpy())


@pytest.mark.parametrize("size", [10_000, 32_000, 45_600, 100_000])
def test_the_evaluator(compare: Compare, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Ours is the device, the other all cores; the scores are the same."""
    codes, labels = clustered(size)

    def on(device: str | None) -> str:
        monkeypatch.setattr(evaluator, "find_device", lambda *_: device)
        return str(evaluate(codes, labels, ks=KS).map)

    assert on("cuda") == on(None)
    print(f"\n{size:,} codes among themselves", end="")
    compare(lambda: on("cuda"), lambda: on(None), 3)


def training(method: DeepMethod, features: ArrayFeatures, precision: str) -> Callable[[], object]:
    """An epoch on features that the device keeps."""
    context = FitContext(0, CUDA)
    context.seed_torch("weights")
    network = method.network(FRAMES, DIMENSIONS).to(CUDA)
    objective = method.objective(network, features, context)
    schedule = Schedule.model_validate({"epochs": 1, "batch_size": BATCH, "precision": precision})
    return lambda: train(network, objective, features, schedule, context, "speed")


@pytest.mark.parametrize("name", ["mcmsh", "bth"])
def test_an_epoch_in_bfloat16(compare: Compare, features: ArrayFeatures, name: str) -> None:
    """Ours is bfloat16, the other float32."""
    method = (
        Mcmsh(BITS, McmshParameters(anchors=100))
        if name == "mcmsh"
        else Bth(BITS, BthParameters(anchors=100, epochs=1))
    )
    rough, exact = (training(method, features, precision) for precision in ("bfloat16", "float32"))
    # What lives on the device lives there in one precision at a time: each loads it before its epochs are timed.
    for each in (exact, rough):
        each()
    print(f"\n{name}, {VIDEOS // BATCH} steps of {BATCH}", end="")
    compare(_several(rough), _several(exact), 3)


def test_a_training_step_of_mcmsh(compare: Compare, features: ArrayFeatures) -> None:
    """Ours passes the five videos of the items together, the other one after the other, as the papers describe it."""
    context = FitContext(0, CUDA)
    context.seed_torch("weights")
    method = Mcmsh(BITS, McmshParameters(anchors=100))
    network = method.network(FRAMES, DIMENSIONS).to(CUDA).train()
    objective = method.objective(network, features, context)
    loader = VideoLoader(features, Schedule.model_validate({"batch_size": BATCH}), context)
    batch = loader.load(objective.draw(np.arange(BATCH), np.arange(len(features)), np.random.default_rng(0)))
    plain = with_torch_dropout(network)
    assert isinstance(plain, McMlp)
    names = ("similar", "dissimilar1", "dissimilar2")
    videos = [batch.corrupted["first"], batch.corrupted["second"], *(batch.videos[name] for name in names)]
    ours = step(torch.optim.Adam(network.parameters(), 3e-4, fused=True), lambda: objective.loss(batch, 0)["loss"])
    plainly = step(
        torch.optim.Adam(plain.parameters(), 3e-4), lambda: plain_mcmsh_loss(plain, videos, dict(batch.values))
    )
    compare(_finished(_several(ours)), _finished(_several(plainly)), 5)


def _finished(work: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        work()
        torch.cuda.synchronize()

    return run


def _several(epoch: Callable[[], object]) -> Callable[[], object]:
    return lambda: [epoch() for _ in range(5)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("batch", [256, 1])
@pytest.mark.parametrize("name", ["mcmsh", "bth"])
def test_encoding_of_what_is_on_the_device(compare: Compare, name: str, batch: int, precision: str) -> None:
    """Ours is the merged network, replayed, the other its plain definition in float32."""
    encoder = encoder_of(name)
    plain = encoder.module
    merged = replayed(inference_module(plain).to(CUDA, getattr(torch, precision)), CUDA)
    videos = torch.randn(batch, FRAMES, DIMENSIONS, device=CUDA)
    rounded = videos.to(getattr(torch, precision))

    def repeated(network: Callable[[Tensor], Tensor], given: Tensor) -> Callable[[], object]:
        def run() -> None:
            with torch.inference_mode():
                for _ in range(50):
                    network(given)
                torch.cuda.synchronize()

        return run

    print(f"\n{name}, batch {batch}, {precision}, 50 times", end="")
    compare(repeated(merged, rounded), repeated(plain, videos), 5)


@pytest.mark.parametrize("backend", ["eager", "compiled"])
@pytest.mark.parametrize("name", ["mcmsh", "bth"])
def test_encoding_of_what_is_in_memory(compare: Compare, features: ArrayFeatures, name: str, backend: str) -> None:
    """Ours is `encode`, the other nothing but the copy of the features to the device."""
    encoder = encoder_of(name)

    def copy() -> None:
        for start in range(0, VIDEOS, BATCH):
            torch.from_numpy(features[start : start + BATCH]).to(CUDA)
        torch.cuda.synchronize()

    print(f"\n{name}, {VIDEOS} videos, {backend}", end="")
    compare(lambda: encoder.encode(features, backend=backend), copy, 3)
    assert np.isin(encoder.encode(features[:3], backend=backend), (-1, 1)).all()


def encoder_of(name: str) -> Encoder:
    method = load_registry().method(name)
    torch.manual_seed(0)
    parameters = method.Parameters()
    description = EncoderDescription(
        method=name, bits=BITS, frames=FRAMES, dimensions=DIMENSIONS, parameters=parameters.model_dump(mode="json")
    )
    return Encoder(description, method(BITS, parameters).build(FRAMES, DIMENSIONS).eval().to(CUDA))
