"""How fast `evaluate` is, beside the authors' algorithm and faiss: `pytest --benchmark-only tests/benchmarks`.

Ratios are taken within one run, the two sides in turn, and stand in the `extra_info` of the benchmark's record. Kernels
are compiled before anything is timed.
"""

import resource
import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import pytest

from bench.metrics import evaluate, evaluator, pack_codes
from bench.metrics.codes import code_bytes
from bench.metrics.cuda import ROWS, DeviceCounter
from tests.metrics.test_golden import authors_map, clustered

KS = (5, 20, 40, 60, 80, 100)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    for ties in ("expected", "index"):
        evaluate([[0, 1], [1, 1]], [0, 1], ties=ties)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(benchmark: Any, ours: Callable[[], object], other: Callable[[], object], rounds: int) -> float:
    """Median time of `other` over median time of `ours`, run in turn; `ours` is what the benchmark records."""
    others: list[float] = []
    benchmark.pedantic(ours, setup=lambda: others.append(seconds(other)), rounds=rounds, iterations=1)
    ratio = float(np.median(others) / benchmark.stats.stats.median)
    benchmark.extra_info.update(other_seconds=float(np.median(others)), times_faster=ratio)
    print(f"\nours {benchmark.stats.stats.median:.3f} s, other {np.median(others):.3f} s: {ratio:.1f} times faster")
    return ratio


@pytest.mark.parametrize("ties", ["expected", "index"])
def test_the_size_of_fcvid(benchmark: Any, ties: str) -> None:
    """45,600 queries among the same 45,600, 64 bits, 239 classes, every k and every metric."""
    codes, labels = clustered(45_600)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    benchmark.pedantic(evaluate, (codes, labels), {"ks": KS, "ties": ties}, rounds=3, iterations=1)
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    benchmark.extra_info["megabytes_above_inputs"] = megabytes
    print(f"\n{ties}: {benchmark.stats.stats.median:.3f} s, {megabytes:.0f} MB above the inputs")
    assert megabytes < 500


@pytest.mark.parametrize("bits", [16, 64])
def test_the_first_items_alone(benchmark: Any, bits: int) -> None:
    """The size of FCVID: what the first 100 items decide, against every metric."""
    codes, labels = clustered(45_600, bits)
    arguments = pack_codes(codes), labels

    def first() -> object:
        return evaluate(*arguments, ks=KS, whole_ranking=False)

    assert compare(benchmark, first, lambda: evaluate(*arguments, ks=KS), rounds=7) > 1


def test_what_a_device_leaves_to_the_processor(benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of FCVID, every metric: ours has the counts that a CUDA device would give, the other counts."""
    codes, labels = clustered(45_600)
    arguments = pack_codes(codes), labels
    counted: dict[int, Any] = {}

    def count(counter: DeviceCounter, first: int) -> Any:
        if first not in counted:
            counts = counter._processor(first, min(first + ROWS, len(codes)))
            counted[first] = np.stack([counts.totals - counts.relevants, counts.relevants], axis=1)
        return counted[first]

    monkeypatch.setattr(DeviceCounter, "_count", count)

    def on(device: str | None) -> object:
        monkeypatch.setattr(evaluator, "find_device", lambda *_: device)
        return evaluate(*arguments, ks=KS)

    assert on("cpu") == on(None)
    taken: list[float] = []

    def ours() -> None:
        begin = time.process_time()
        on("cpu")
        taken.append(time.process_time() - begin)

    compare(benchmark, ours, lambda: on(None), rounds=7)
    benchmark.extra_info["processor_seconds"] = float(np.median(taken))
    print(f"{1e3 * np.median(taken):.0f} ms of processor time")


def test_a_million_codes(benchmark: Any) -> None:
    """1,000 queries among 1,000,000 codes of 64 bits."""
    codes, _ = clustered(1_001_000)
    labels = np.random.default_rng(1).integers(0, 1000, len(codes))
    arguments = (codes[:1000], labels[:1000], codes[1000:], labels[1000:])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    benchmark.pedantic(evaluate, arguments, {"ks": KS}, rounds=3, iterations=1)
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    benchmark.extra_info["megabytes_above_inputs"] = megabytes
    print(f"\n{benchmark.stats.stats.median:.3f} s, {megabytes:.0f} MB above the inputs")


def test_against_faiss(benchmark: Any) -> None:
    """All metrics over whole rankings, against faiss's exact search for the top 100 alone, two threads each."""
    codes, labels = clustered(10_000)
    octets = np.ascontiguousarray(code_bytes(pack_codes(codes)))
    faiss.omp_set_num_threads(2)

    def search() -> None:
        index = faiss.IndexBinaryFlat(codes.shape[1])
        index.add(octets)
        index.search(octets, 100)

    assert compare(benchmark, lambda: evaluate(codes, labels, ks=KS), search, rounds=7) > 3


def test_against_the_authors_algorithm(benchmark: Any) -> None:
    """The same mAP@k as the papers' released code finds it: a product of ±1 matrices, argsort, a loop over queries."""
    codes, labels = clustered(5_000)

    def ours() -> object:
        return evaluate(codes, labels, ks=KS, ties="index")

    assert compare(benchmark, ours, lambda: authors_map(codes, labels, KS), rounds=3) > 3


def test_dense_labels(benchmark: Any) -> None:
    """80 classes, each set with probability ½, against 239 sparse classes at the same size."""
    codes, sparse = clustered(10_000)
    dense = np.random.default_rng(2).random((len(codes), 80)) < 0.5
    ratio = compare(benchmark, lambda: evaluate(codes, sparse, ks=KS), lambda: evaluate(codes, dense, ks=KS), rounds=5)
    assert ratio < 5
