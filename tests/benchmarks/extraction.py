"""Videos a second of `bench extract` beside plain decoding and the plain network, in turns.

`python -m tests.benchmarks.extraction [BACKBONE [WEIGHTS]]`, on clips in the form of UCF101's: 320 × 240, 7 seconds.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

VIDEOS, FRAMES, ROUNDS = 10, 25, 3


def write_videos(folder: Path) -> list[Path]:
    """Noise that moves over a gradient, so that there is something to decode."""
    import numpy as np

    from tests.video.clips import write_clip

    draw = np.random.default_rng(0)
    ground = np.linspace(0, 200, 320).astype(np.uint8)[None, :, None] + np.zeros((240, 1, 3), np.uint8)
    paths = []
    for number in range(VIDEOS):
        patch = draw.integers(0, 255, (120, 120, 3), dtype=np.uint8)
        images = []
        for time_ in range(175):
            image = ground.copy()
            image[60:180, time_ : time_ + 120] = patch
            images.append(image)
        paths.append(write_clip(folder / f"{number}.avi", images, "mpeg4", rate=25, b="600000"))
    return paths


def decode(path: Path) -> int:
    """Decode a video with PyAV's defaults, and convert every seventh frame."""
    import av

    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % 7 == 3:
                frame.to_ndarray(format="rgb24")
    return number


def rate(work: Callable[[], object]) -> float:
    """Videos a second of what does all of them."""
    begin = time.perf_counter()
    work()
    return VIDEOS / (time.perf_counter() - begin)


def main(backbone: str = "efficientnet-lite0", weights: str | None = None) -> None:
    # As the command line does, before OpenMP is loaded. Imports are here since processes that decode import this file.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    import torch

    from bench.base.processes import usable_cores
    from bench.base.progress import SilentProgress
    from bench.video.extract import extract
    from bench.video.extractor import extractor
    from bench.video.sources import find_videos

    using = extractor(backbone, Path(weights) if weights else None, FRAMES, torch.device("cpu"))
    side = using.sampling.preprocessing.crop
    values = torch.zeros(FRAMES, 3, side, side).to(memory_format=torch.channels_last)
    rates: dict[str, list[float]] = {"extract": [], "decode": [], "network": []}
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        folder = Path(name)
        (folder / "videos").mkdir()
        paths = write_videos(folder / "videos")
        found = find_videos(folder / "videos")
        using.features_of(paths[0])  # starts what processes are forked from
        for turn in range(ROUNDS):
            out = folder / str(turn)
            rates["extract"].append(rate(lambda: extract(found, using, out, usable_cores(), SilentProgress())))  # noqa: B023
            rates["decode"].append(rate(lambda: list(map(decode, paths))))
            rates["network"].append(rate(lambda: [using.backbone.forward(values) for _ in paths]))
    for what, measured in rates.items():
        print(f"{what}: {statistics.median(measured):.2f} videos/s ({min(measured):.2f} to {max(measured):.2f})")
    turns = zip(*rates.values(), strict=True)
    ratios = [extracted / min(decoded, computed) for extracted, decoded, computed in turns]
    print(f"extract beside the slower one: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main(*sys.argv[1:])
