"""The paper's figure of feature distributions: the same videos with and without the L/M/S-RD modules, by t-SNE."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from bench.methods.mcmsh.mixer import McMlp
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.base.text import one_line
from bench.data.dataset import Dataset
from bench.encoding.encoder import Encoder, read_encoder
from bench.registry import Registry
from bench.report.figures import FULL_WIDTH, Plot
from bench.report.lettering import drawable
from bench.report.recipe import Results
from bench.report.styles import COLOURS, MARKERS
from bench.store.stored_run import ENCODER

from .rows import EMBEDDING

CLASSES = len(COLOURS)
VIDEOS_OF_A_CLASS = 50
PERPLEXITY = 30
"""van der Maaten and Hinton (JMLR 2008) find 5 to 50 to serve; this is scikit-learn's default."""
SEED = 0
BATCH = 256
NEIGHBOURS = 10
PANEL_HEIGHT = 3.2
LEGEND_LINE = 0.19


@dataclass(frozen=True)
class Chosen:
    """Videos to show, as indices of queries, with the index of their class."""

    videos: NDArray[np.int64]
    classes: NDArray[np.int64]


def choose_videos(labels: NDArray[np.uint8]) -> Chosen:
    """The first queries of the most frequent classes, those with one label only. `labels` (N, C) multi-hot."""
    single = np.flatnonzero(labels.sum(axis=1) == 1)
    of_video = labels[single].argmax(axis=1)
    counts = np.bincount(of_video, minlength=labels.shape[1])
    frequent = [int(index) for index in np.argsort(-counts, kind="stable")[:CLASSES] if counts[index]]
    videos = [single[of_video == index][:VIDEOS_OF_A_CLASS] for index in sorted(frequent)]
    classes = [np.full(len(part), index) for index, part in zip(sorted(frequent), videos, strict=True)]
    empty = np.zeros(0, dtype=np.int64)
    return Chosen(np.concatenate([empty, *videos]), np.concatenate([empty, *classes]))


def video_features(encoder: Encoder, videos: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean over frames of the frame embeddings (n, H), of videos (n, T, D): what the cluster loss works on."""
    assert isinstance(encoder.module, McMlp)
    with torch.inference_mode():
        parts = [
            encoder.module.frames(torch.from_numpy(videos[start : start + BATCH])).mean(dim=1).numpy()
            for start in range(0, len(videos), BATCH)
        ]
    return np.concatenate(parts)


def same_class_neighbours(features: NDArray[np.float32], classes: NDArray[np.int64]) -> float:
    """Mean share of a video's nearest features (Euclidean) that have its class."""
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415  slow to import

    found = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(features).kneighbors()[1]
    return float((classes[found] == classes[:, None]).mean())


def project(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Two dimensions (n, 2) by t-SNE; the same features give the same points."""
    from sklearn.manifold import TSNE  # noqa: PLC0415  slow to import
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415  scikit-learn's

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    # Several threads add up in an order of their own, and t-SNE blows the last bit up to another picture.
    with threadpool_limits(limits=1):
        points = TSNE(perplexity=perplexity, init="pca", random_state=SEED).fit_transform(features)
    return np.asarray(points, dtype=np.float32)


def embedding_plot(results: Results, data: Dataset, registry: Registry) -> Plot | None:
    """A panel without and one with the modules; None where an encoder, labels, or enough videos are missing."""
    (bits,) = results.need.bits
    runs = results.of_one_seed(bits)
    if not runs or data.query.labels is None:
        return None
    chosen = choose_videos(data.query.labels)
    if len(chosen.videos) <= NEIGHBOURS:
        return None
    videos = data.query.features[chosen.videos]
    parts = []
    for label, run in runs.items():
        for name in run.record.checksums:
            if name.startswith(f"{ENCODER}/"):
                run.stored.verified(name)
        features = video_features(read_encoder(run.stored.folder / ENCODER, registry), videos)
        points = project(features)
        parts.append(
            pd.DataFrame(
                {
                    "backbone": label,
                    "query": chosen.videos,
                    "class": [data.class_names[index] for index in chosen.classes],
                    "x": points[:, 0],
                    "y": points[:, 1],
                    "same_class_neighbours": same_class_neighbours(features, chosen.classes),
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    caption = (
        f"t-SNE of video features on {one_line(data.summary.title)}, without (left) and with (right) L/M/S-RD: "
        f"mean frame embeddings of {len(chosen.videos)} queries of one class each, {bits}-bit encoders, seed "
        f"{runs[EMBEDDING.rows[0].label].record.spec.seed}; t-SNE with seed {SEED} and the same videos for both. "
        "Distances between groups in such a picture mean little; the share over a panel is computed before it."
    )
    return Plot("embedding", caption, partial(_draw, frame), frame)


def _draw(frame: pd.DataFrame) -> Figure:
    classes = list(dict.fromkeys(frame["class"]))
    longest = max(len(drawable(name, 24)) for name in classes)
    most = max(1, int(FULL_WIDTH / (0.075 * longest + 0.4)))
    lines = -(-len(classes) // most)
    columns = -(-len(classes) // lines)
    height = PANEL_HEIGHT + LEGEND_LINE * lines
    figure = Figure(figsize=(FULL_WIDTH, height), layout="constrained")
    titles = {EMBEDDING.rows[0].label: "without", EMBEDDING.rows[1].label: "with"}
    for axes, (backbone, rows) in zip(figure.subplots(1, 2), frame.groupby("backbone", sort=False), strict=True):
        for index, name in enumerate(classes):
            points = rows[rows["class"] == name]
            axes.scatter(
                points["x"],
                points["y"],
                s=11,
                color=COLOURS[index],
                marker=MARKERS[index],
                linewidths=0,
                alpha=0.85,
                label=drawable(name, 24),
            )
        share = rows["same_class_neighbours"].iloc[0]
        which = f"{backbone}: {titles[str(backbone)]} L/M/S-RD"
        axes.set_title(f"{which}\n{share:.0%} of the {NEIGHBOURS} nearest are of the same class")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[["top", "right"]].set_visible(True)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        handletextpad=0.2,
        columnspacing=1.2,
        markerscale=1.4,
    )
    return figure
