"""How fast encoders encode, beside their plain definition run eagerly in one batch, and BTH as it was published:

    pytest tests/benchmarks/test_encoding_speed.py --benchmark-only -s

Untrained networks at the papers' size (25 frames, 4096 features, 64 bits, 256 channels), random features. Ratios are
taken within one run, the two sides in turn, as the median of the ratios of pairs. `-k "mcmsh and onnx"` chooses some:
compiling takes a minute and more.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.encoding.backends import CHUNK
from bench.encoding.choice import GAIN, faster_backend
from bench.encoding.encoder import Encoder
from bench.encoding.modules import EncoderDescription
from bench.registry import load_registry
from tests.benchmarks.published_bth import PublishedBth

Compare = Callable[[Callable[[], object], Callable[[], object], int], float]
FRAMES, DIMENSIONS, BITS = 25, 4096, 64
WAYS = (
    ("eager", "float32"),
    ("compiled", "float32"),
    ("onnx", "float32"),
    ("eager", "bfloat16"),
    ("compiled", "bfloat16"),
)


@pytest.fixture(scope="module", autouse=True)
def _inference() -> Any:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def videos() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((256, FRAMES, DIMENSIONS), dtype=np.float32)


@pytest.fixture(scope="module", params=["mcmsh", "bth", "mlp-mixer"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    method = load_registry().method(request.param)
    torch.manual_seed(0)
    parameters = method.Parameters()
    description = EncoderDescription(
        method=method.name,
        bits=BITS,
        frames=FRAMES,
        dimensions=DIMENSIONS,
        parameters=parameters.model_dump(mode="json"),
    )
    return Encoder(description, method(BITS, parameters).build(FRAMES, DIMENSIONS).eval())


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@pytest.fixture(params=["plain", "published"])
def plain(request: pytest.FixtureRequest, encoder: Encoder) -> torch.nn.Module:
    """What our encoding is compared with, the same function."""
    if request.param == "plain":
        return encoder.module
    if encoder.description.method != "bth":
        pytest.skip("as published it computes what our plain definition does")
    return PublishedBth(encoder.module, DIMENSIONS)


@pytest.mark.parametrize("batch", [256, 1])
@pytest.mark.parametrize(("backend", "precision"), WAYS, ids=lambda word: word)
def test_beside_the_plain_definition(
    benchmark: Any,
    encoder: Encoder,
    plain: torch.nn.Module,
    videos: np.ndarray,
    backend: str,
    precision: str,
    batch: int,
) -> None:
    given = videos[:batch]
    tensor = torch.from_numpy(given)
    forward = encoder.forward(backend, precision)

    def ours() -> np.ndarray:
        return np.concatenate([forward(given[at : at + CHUNK]) for at in range(0, batch, CHUNK)])

    def theirs() -> np.ndarray:
        outputs: np.ndarray = plain(tensor).numpy()
        return outputs

    relaxed, expected = ours(), theirs()
    flipped = float(((relaxed >= 0) != (expected >= 0)).mean())
    if precision == "float32":
        assert flipped == 0
        np.testing.assert_allclose(relaxed, expected, rtol=0, atol=1e-5)
    others: list[float] = []
    rounds = 9 if batch > 1 else 41
    benchmark.pedantic(ours, setup=lambda: others.append(seconds(theirs)), rounds=rounds, iterations=1)
    ratio = float(np.median(np.array(others) / np.array(benchmark.stats.stats.data)))
    benchmark.extra_info.update(plain_seconds=float(np.median(others)), times_faster=ratio, flipped_bits=flipped)
    print(
        f"\n{encoder.description.method}, batch {batch}, {backend}, {precision}: {ratio:.2f} times faster "
        f"({1000 * benchmark.stats.stats.median / batch:.3f} ms a video), {flipped:.2%} of the bits flipped"
    )


def test_what_auto_chooses(
    compare: Compare, encoder: Encoder, videos: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours is the backend that `bench encode` takes here for large files, the other `eager`; the codes are equal."""
    monkeypatch.setenv("VHBENCH_CACHE", str(tmp_path))
    chosen = faster_backend(encoder, "", videos[:CHUNK])
    ours, eager = (partial(encoder.encode, videos, backend) for backend in (chosen, "eager"))
    np.testing.assert_array_equal(ours(), eager())
    print(f"\n{encoder.description.method}, {chosen}", end="")
    assert compare(ours, eager, 9) > (1 if chosen == "onnx" else 1 / GAIN)
