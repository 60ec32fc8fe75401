"""A process that fits, and is then forked by multiprocessing while one of its threads fits on."""

import multiprocessing
import threading
import warnings
from typing import Any

import numpy as np

import bench
from bench.base.process_state import own_process_state

warnings.simplefilter("ignore")
FEATURES = np.random.default_rng(0).normal(size=(40, 4, 16)).astype(np.float32)
QUICK: dict[str, Any] = {"epochs": 1, "hidden": 16, "anchors": 4}


def codes() -> list[np.ndarray]:
    """Of two methods anew, and of an encoder that has been used before."""
    fitted = [bench.fit("itq", FEATURES, bits=8), bench.fit("bth", FEATURES, bits=8, **QUICK)]
    return [encoder.encode(FEATURES) for encoder in fitted] + [USED.encode(FEATURES, backend="onnx")]


def hold(begun: threading.Event, done: threading.Event) -> None:
    """Have what fits take turns for, as a fit in another thread has it."""
    with own_process_state():
        begun.set()
        done.wait()


if __name__ == "__main__":
    USED = bench.fit("mlp-mixer", FEATURES, bits=8, **QUICK)
    before = codes()
    begun, done = threading.Event(), threading.Event()
    threading.Thread(target=hold, args=(begun, done), daemon=True).start()
    begun.wait()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        after = pool.apply(codes)
    done.set()
    print([bool((old == new).all()) for old, new in zip(before, after, strict=True)])
