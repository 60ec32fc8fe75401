"""Time and memory of preparing MCMSH's structure on a training file: `python fcvid_preparation.py FEATURES`."""

import resource
import sys
import time
from pathlib import Path

import numpy as np

from bench.data.features import mean_pool
from bench.data.folder import open_features
from bench.learning.structure.anchor_graph import anchor_graph, draw_pairs, principal_components
from bench.learning.structure.kmeans import kmeans

ANCHORS, HIDDEN, BATCH = 2000, 256, 256


def main(path: Path) -> None:
    begin = last = time.perf_counter()

    def lap(step: str) -> None:
        nonlocal last
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{step}: {time.perf_counter() - last:.1f} s, peak {peak:.2f} GB", flush=True)
        last = time.perf_counter()

    pooled = mean_pool(open_features(path))
    lap("pooling")
    centres = kmeans(pooled, ANCHORS, 0)
    lap(f"k-means, {len(centres)} centres")
    graph = anchor_graph(pooled, centres)
    lap("anchor graph")
    principal_components(centres, HIDDEN)
    lap("principal components")
    random, everything = np.random.default_rng(0), np.arange(len(pooled))
    for start in range(0, len(pooled), BATCH):
        draw_pairs(graph, np.arange(start, min(start + BATCH, len(pooled))), everything, random)
    lap("pairs of an epoch")
    print(f"in all: {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
