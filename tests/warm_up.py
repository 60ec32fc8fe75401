"""Compiles the kernels that nearly all tests need, once, while a command runs: `python -m tests.warm_up [COMMAND]`.

In a fresh checkout each of the processes that run the tests together would compile them: half a minute for each.
"""

import multiprocessing
import subprocess
import sys
from collections.abc import Callable

import numpy as np

BITS = 8


def evaluation() -> None:
    """Count, rank and sum, with and without labels."""
    from bench.metrics import evaluate, evaluate_neighbours

    random = np.random.default_rng(0)
    codes, labels = random.integers(0, 2, (40, BITS)), random.integers(0, 3, 40)
    for ties in ("expected", "index"):
        evaluate(codes, labels, codes[::-1], labels[::-1], ties=ties)
    evaluate_neighbours(codes, np.arange(40)[:, None], codes)


def training() -> None:
    """Anchors and pairs, and the loops of encoders."""
    import bench

    features = np.random.default_rng(0).normal(size=(40, 6, 16)).astype(np.float32)
    for method in ("mcmsh", "s5vh", "ssth"):
        quick = {"anchors": 4} if method == "mcmsh" else {}
        bench.fit(method, features, bits=BITS, device="cpu", epochs=1, **quick).encode(features)


def _call(work: Callable[[], None]) -> None:
    work()


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        compiled = pool.map_async(_call, (evaluation, training), chunksize=1)
        status = subprocess.run(sys.argv[1:], check=False).returncode if sys.argv[1:] else 0
        compiled.get()
    sys.exit(status)
