"""What many videos cost to encode, store and search, from rates measured here: `python -m tests.benchmarks.scale`.

The model, for N videos with features (T, D) of four bytes a number and codes of K bits:

- encoding takes N · e core-seconds, and reads 4 · T · D · N bytes;
- codes take N · K / 8 bytes, with a name of `NAME` bytes each N · (K / 8 + NAME);
- an exact search compares a query with every code: q + N · s core-seconds;
- lists around √N centres are as long as √N codes each, if they are even. A query finds the nearest centres, and visits
  a fixed number of lists: q + (1 + v) · √N · s, and something for the lists' scattered memory, which l replaces s for.

Rates e, s, q and l are measured at a small size. Ten times as many are predicted from them, and measured too.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from bench.encoding.backends import prepare
from bench.learning.deep_method import DeepMethod
from bench.registry import load_registry
from tests.benchmarks.search_at_size import turned

FRAMES, DIMENSIONS, BITS, BATCH = 25, 4096, 64, 64
NAME = 16
"""Bytes that tell which video a code belongs to."""
VISITED = 32
"""Lists that a query visits."""
SMALL_ENCODED, SMALL_SEARCHED = 320, 100_000
CORES, MEMORY = 16, 64e9
"""Of the machine in which the table counts; a quarter of its memory is left for other things."""
SIZES = (10**6, 10**8, 10**10)


@dataclass(frozen=True)
class Rates:
    """Core-seconds: to encode a video, to compare a code, to begin a query, to compare a code in a list."""

    encode: float
    scan: float
    query: float
    listed: float

    def encoding(self, videos: int) -> float:
        """Core-seconds."""
        return videos * self.encode

    def exact(self, videos: int) -> float:
        """Core-seconds of a query that is compared with every code."""
        return self.query + videos * self.scan

    def lists(self, videos: int) -> float:
        """Core-seconds of a query that visits lists."""
        return self.query + (1 + VISITED) * videos**0.5 * self.listed


def feature_bytes(videos: int) -> float:
    """Bytes of features."""
    return 4.0 * FRAMES * DIMENSIONS * videos


def code_bytes(videos: int) -> float:
    """Bytes of codes with their names."""
    return videos * (BITS / 8 + NAME)


def machines(videos: int) -> int:
    """Machines whose memory holds the codes."""
    return -int(-code_bytes(videos) // (0.75 * MEMORY))


def seconds(call: Callable[[], object], rounds: int) -> float:
    """The median of processor time, which other programs disturb less than the clock."""
    taken = []
    for _ in range(rounds):
        begin = time.process_time()
        call()
        taken.append(time.process_time() - begin)
    return statistics.median(taken)


def encoding_time(videos: int) -> float:
    """Core-seconds to encode so many videos with MCMSH, in batches."""
    method = load_registry().method("mcmsh")
    made = method(BITS, method.Parameters())
    assert isinstance(made, DeepMethod)
    forward = prepare(made.build(FRAMES, DIMENSIONS).eval(), "mcmsh", (FRAMES, DIMENSIONS), "eager", "float32")
    batch = np.random.default_rng(0).normal(size=(BATCH, FRAMES, DIMENSIONS)).astype(np.float32)
    forward(batch)
    return seconds(lambda: [forward(batch) for _ in range(videos // BATCH)], 3)


def searching_time(videos: int) -> tuple[float, float]:
    """Core-seconds of a query among so many codes: exact, and in √N lists."""
    random = np.random.default_rng(0)
    centres = random.integers(0, 256, (videos // 100, BITS // 8), dtype=np.uint8)
    codes = turned(np.repeat(centres, 100, axis=0), random)
    queries = iter(turned(codes[random.choice(videos, 400)], random))
    exact = faiss.IndexBinaryFlat(BITS)
    exact.add(codes)
    lists = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(BITS), BITS, int(videos**0.5))
    lists.own_fields, lists.nprobe, lists.cp.niter = False, VISITED, 4
    lists.train(codes[random.choice(videos, min(videos, 40 * int(videos**0.5)), replace=False)])
    lists.add(codes)
    times = [seconds(partial(_search, index, queries), 100) for index in (exact, lists)]
    return times[0], times[1]


def _search(index: Any, queries: Iterator[NDArray[np.uint8]]) -> None:
    index.search(next(queries)[None], 100)


def compare(what: str, predicted: float, measured: float, unit: str, scale: float) -> None:
    """Print a prediction beside its measurement."""
    print(f"{what}: predicted {predicted * scale:.3g} {unit}, measured {measured * scale:.3g}, "
          f"{measured / predicted:.2f} times as much")  # fmt: skip


def main() -> None:
    """Measure rates, check the model at ten times the size, and print what many videos cost."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    encoded = encoding_time(SMALL_ENCODED) / SMALL_ENCODED
    begin, _ = searching_time(1_000)
    exact, lists = searching_time(SMALL_SEARCHED)
    rates = Rates(
        encode=encoded,
        scan=(exact - begin) / SMALL_SEARCHED,
        query=begin,
        listed=(lists - begin) / ((1 + VISITED) * SMALL_SEARCHED**0.5),
    )
    print(rates)
    large, searched = 10 * SMALL_ENCODED, 10 * SMALL_SEARCHED
    compare(f"encoding of {large:,} videos", rates.encoding(large), encoding_time(large), "s", 1)
    exact, lists = searching_time(searched)
    compare(f"exact search of {searched:,} codes", rates.exact(searched), exact, "ms", 1e3)
    compare(f"search in lists of {searched:,} codes", rates.lists(searched), lists, "ms", 1e3)
    print("| videos | features read | encoding | codes with names | machines | exact query | query in lists |")
    for videos in SIZES:
        print(
            f"| {videos:,} | {feature_bytes(videos) / 1e12:,.3g} TB | {rates.encoding(videos) / 3600:,.3g} core-h | "
            f"{code_bytes(videos) / 1e9:,.3g} GB | {machines(videos)} | {rates.exact(videos):,.3g} core-s | "
            f"{rates.lists(videos) * 1e3:,.3g} core-ms |"
        )


if __name__ == "__main__":
    main()
