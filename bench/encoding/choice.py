"""The faster backend of an encoder on this machine: measured once, and remembered in the cache."""

import hashlib
import json
import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch
from numpy.typing import NDArray

from bench.base.atomic import write_file
from bench.base.errors import InputError
from bench.base.paths import cache_folder
from bench.base.text import say
from bench.encoding.encoder import Encoder

CANDIDATES = ("eager", "onnx")
"""Backends that are ready in seconds. `compiled` takes minutes, and gains little over the better of these."""
ROUNDS = 7
GAIN = 1.1
"""A backend must be so many times faster than eager to be used in its place."""


def faster_backend(encoder: Encoder, digest: str, videos: NDArray[np.float32]) -> str:
    """The backend for encoding many videos in float32: `onnx` where it pays and gives the same codes, else `eager`.

    Args:
        encoder: on any device.
        digest: its `encoder_digest`.
        videos: some of those that will be encoded, (n, T, D), as many as pass together.
    """
    cache = cache_folder()
    if encoder.device.type != "cpu" or cache is None:
        return "eager"
    try:
        of_machine = (platform.node(), platform.machine(), torch.get_num_threads(), torch.__version__)
        known = (digest, *of_machine, version("onnxruntime"))
    except PackageNotFoundError:
        return "eager"
    path = cache / "backends" / hashlib.blake2b(json.dumps(known).encode(), digest_size=8).hexdigest()
    if path.is_file() and (remembered := path.read_text(encoding="utf-8")) in CANDIDATES:
        return remembered
    chosen = _measured(encoder, videos)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, chosen.encode())
    except OSError as error:
        say(f"{path}: the choice of a backend is not remembered ({error.strerror})")
    return chosen


def _measured(encoder: Encoder, videos: NDArray[np.float32]) -> str:
    eager = encoder.forward("eager")
    try:
        onnx = encoder.forward("onnx")
    except InputError:  # the method cannot be exported
        return "eager"
    if ((eager(videos) >= 0) != (onnx(videos) >= 0)).any():
        return "eager"
    ratios = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        eager(videos)
        between = time.perf_counter()
        onnx(videos)
        ratios.append((between - begin) / (time.perf_counter() - between))
    gain = statistics.median(ratios)
    chosen = "onnx" if gain >= GAIN else "eager"
    say(f"backend {chosen}: onnx takes 1/{gain:.2f} of eager's time here (remembered; --backend names another)")
    return chosen
