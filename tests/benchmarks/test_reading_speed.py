"""How fast features come from disk: `pytest --benchmark-only tests/benchmarks/test_reading_speed.py -s`.

What training reads in a step: 256 items of five videos each, 25 frames × 4096 dimensions. The two sides of a ratio run
in turn within one process; the medians of the ratios stand in `extra_info`.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.data.features import Features
from bench.data.folder import open_features
from bench.data.hdf5 import Hdf5Features
from bench.data.raw import RawFeatures

VIDEOS, FRAMES, DIMENSIONS = 2000, 25, 4096


@pytest.fixture(scope="module")
def contiguous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("features") / "contiguous.h5"
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        features = file.create_dataset("feats", (VIDEOS, FRAMES, DIMENSIONS), "<f4")
        for start in range(0, VIDEOS, 50):
            features[start : start + 50] = random.random((50, FRAMES, DIMENSIONS), dtype=np.float32)
    return path


@pytest.fixture(scope="module")
def chunked(contiguous: Path) -> Path:
    path = contiguous.with_name("chunked.h5")
    with h5py.File(contiguous) as source, h5py.File(path, "w") as file:
        features = file.create_dataset(
            "feats", (VIDEOS // 4, FRAMES, DIMENSIONS), "<f4", chunks=(16, FRAMES, DIMENSIONS // 8), compression="lzf"
        )
        for start in range(0, VIDEOS // 4, 16):
            features[start : start + 16] = source["feats"][start : min(start + 16, VIDEOS // 4)].round(1)
    return path


@pytest.fixture(scope="module")
def halves(contiguous: Path) -> Path:
    path = contiguous.with_suffix(".npy")
    array = np.lib.format.open_memmap(path, "w+", np.float16, (VIDEOS, FRAMES, DIMENSIONS))
    for start, block in open_features(contiguous).blocks():
        array[start : start + len(block)] = block
    array.flush()
    return path


def forget(path: Path) -> None:
    """Have the system drop what it keeps of a file in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def h5py_rows(path: Path) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Reading as h5py's manual says: an increasing list of indices."""
    dataset = h5py.File(path)["feats"]

    def read(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        unique, position = np.unique(rows, return_inverse=True)
        return np.asarray(dataset[unique])[position]

    return read


def compare(
    benchmark: Any,
    features: Features,
    other: Callable[[NDArray[np.int64]], object],
    before: Callable[[], None] = lambda: None,
    rounds: int = 7,
    videos: int = 256 * 5,
) -> None:
    random, ratios = np.random.default_rng(1), []

    def seconds(call: Callable[[NDArray[np.int64]], object], rows: NDArray[np.int64]) -> float:
        before()
        start = time.perf_counter()
        call(rows)
        return time.perf_counter() - start

    for _ in range(rounds):
        rows = random.integers(0, len(features), videos)
        ratios.append(seconds(other, rows) / seconds(features.read, rows))
    benchmark.pedantic(features.read, (rows,), rounds=1)
    median, low, high = np.median(ratios), min(ratios), max(ratios)
    benchmark.extra_info.update(times_faster=float(median), lowest=float(low), highest=float(high))
    print(f"\n{median:.2f} times faster ({low:.2f} to {high:.2f})")


@pytest.mark.parametrize("state", ["in memory", "on disk"])
def test_contiguous_against_h5py(benchmark: Any, contiguous: Path, state: str) -> None:
    features = open_features(contiguous)
    assert isinstance(features, RawFeatures)
    before = (lambda: forget(contiguous)) if state == "on disk" else (lambda: None)
    compare(benchmark, features, h5py_rows(contiguous), before)


def test_chunks_of_several_videos_against_h5py(benchmark: Any, chunked: Path) -> None:
    features = open_features(chunked)
    assert isinstance(features, Hdf5Features)
    compare(benchmark, features, h5py_rows(chunked), rounds=3, videos=256)


@pytest.mark.parametrize("state", ["in memory", "on disk"])
def test_float16_against_float32(benchmark: Any, contiguous: Path, halves: Path, state: str) -> None:
    def before() -> None:
        if state == "on disk":
            forget(contiguous)
            forget(halves)

    compare(benchmark, open_features(halves), open_features(contiguous).read, before)
