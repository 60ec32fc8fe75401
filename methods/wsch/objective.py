"""WSCH's objectives: hidden frames alone first; then these with clusters of codes, and with agreement of two views.

Shapes: B videos, N training videos, K bits, C clusters.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bench.learning.structure.kmeans import kmeans_from
from bench.method import Batch, Draw, Encode, Objective, Shape, TrainingError

from ..shared.contrastive import debiased_contrastive_of_units
from ..shared.views import draw_views
from .network import Seen, WschNetwork
from .parameters import WschParameters

ROUNDS = 300
"""Of k-means at most."""
SHORTEST = 1e-8
"""Vectors that are shorter count as so long, in the cosine of two."""


class PretrainingObjective(Objective):
    """Reconstruction of the hidden frames of two views."""

    def __init__(self, network: WschNetwork, parameters: WschParameters, shape: Shape) -> None:
        self.network, self.parameters = network, parameters
        self.videos, self.frames, _ = shape
        self.mask_ratio = parameters.pretraining_mask_ratio

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        views = draw_views(random, len(videos), self.frames, self.mask_ratio)
        return Draw({"video": videos}, {"visible": views.visible, "hidden": views.hidden})

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        reconstruction = reconstruction_loss(self.seen(batch))
        return {"loss": reconstruction, "reconstruction": reconstruction}

    def seen(self, batch: Batch) -> Seen:
        """The network's outputs for the batch's views."""
        seen: Seen = self.network(batch.videos["video"], batch.values["visible"], batch.values["hidden"])
        return seen


class ClusterObjective(PretrainingObjective):
    """Reconstruction + c·cluster, the first pass of an epoch of the second stage."""

    def __init__(self, network: WschNetwork, parameters: WschParameters, shape: Shape) -> None:
        super().__init__(network, parameters, shape)
        self.mask_ratio = parameters.mask_ratio

    def passes(self) -> Sequence[Objective]:
        return self, ContrastiveObjective(self.network, self.parameters, (self.videos, self.frames, 0))

    def begin_epoch(self, epoch: int, encode: Encode, random: np.random.Generator) -> None:
        views = draw_views(random, self.videos, self.frames, self.parameters.pretraining_mask_ratio)
        embeddings = encode(self.network.embeddings, views.visible)
        if not np.isfinite(embeddings).all():
            raise TrainingError(f"the codes that epoch {epoch} is to cluster are not finite; lower learning_rate")
        start = self.network.centres.cpu().numpy() if epoch else None
        signs = np.sign(embeddings).reshape(2 * self.videos, -1)
        centres = code_centres(signs, len(self.network.centres), start, int(random.integers(2**31)))
        self.network.centres.copy_(torch.from_numpy(centres))

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        seen = self.seen(batch)
        reconstruction = reconstruction_loss(seen)
        cluster = cluster_loss(seen.embeddings, self.network.centres, self.parameters.cluster_temperature)
        total = reconstruction + self.parameters.cluster_weight * cluster
        return {"loss": total, "reconstruction": reconstruction, "cluster": cluster}


class ContrastiveObjective(ClusterObjective):
    """Reconstruction + a·contrastive, the second pass."""

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        own, seen = self.parameters, self.seen(batch)
        reconstruction = reconstruction_loss(seen)
        views = seen.embeddings[0::2], seen.embeddings[1::2]
        contrastive = debiased_contrastive_of_units(*views, own.temperature, own.tau_plus)
        total = reconstruction + own.contrastive_weight * contrastive
        return {"loss": total, "reconstruction": reconstruction, "contrastive": contrastive}


def code_centres(
    signs: NDArray[np.float32], clusters: int, start: NDArray[np.float32] | None, seed: int
) -> NDArray[np.float32]:
    """The signs of the centres of k-means among sign vectors (2·N, K): (C, K) of −1, 0 and +1.

    It begins at `start`, or where there is none as k-means++ does. A cluster that ends empty keeps its centre.
    """
    if start is None:
        from sklearn.cluster import kmeans_plusplus  # noqa: PLC0415  a second that other methods need not spend

        start, _ = kmeans_plusplus(signs, clusters, random_state=seed)
    return np.sign(kmeans_from(signs, start, ROUNDS)[0])


def reconstruction_loss(seen: Seen) -> Tensor:
    """The sum, over the two views, of 1 less the mean cosine of hidden frames and what is restored of them."""
    cosines = functional.cosine_similarity(seen.restored.float(), seen.hidden.float(), dim=2, eps=SHORTEST)
    return 2 * (1 - cosines.mean())


def cluster_loss(embeddings: Tensor, centres: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of the cosines with C centres over t, with the largest as the target: the sum of two views' means.

    Args:
        embeddings: (2·B, K), of both views.
        centres: (C, K); one of zeros is as far from all.
        temperature: t.
    """
    scores = functional.normalize(embeddings, eps=SHORTEST) @ functional.normalize(centres, eps=SHORTEST).T
    scores = scores / temperature
    return 2 * functional.cross_entropy(scores, scores.argmax(dim=1))
