"""S5VH's objective: hidden frames, agreement of two views, and clusters whose labels learn from the network.

Shapes: B videos, K bits, C clusters.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bench.method import Batch, Draw, Objective

from ..shared.binarise import binarise
from ..shared.contrastive import debiased_contrastive
from ..shared.views import draw_views
from .network import S5vhNetwork
from .parameters import S5vhParameters


class S5vhObjective(Objective):
    """Reconstruction + a·contrastive + c·cluster.

    Validation compares with the first labels of the held-out videos, which no step changes: its losses have one meaning
    in all epochs.
    """

    def __init__(self, network: S5vhNetwork, parameters: S5vhParameters, frames: int, labels: Tensor) -> None:
        self._network, self._parameters, self._frames = network, parameters, frames
        self.labels = labels
        """(N, C) float32: how likely each training video is of each cluster."""
        self._targets = labels[:0]

    def state(self) -> Mapping[str, Tensor]:
        return {"labels": self.labels}

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        views = draw_views(random, len(videos), self._frames, self._parameters.mask_ratio)
        return Draw({"video": videos}, {"visible": views.visible, "hidden": views.hidden})

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        own = self._parameters
        videos, hidden = batch.videos["video"], batch.values["hidden"]
        # Of all frames, since both views together see most of them, and the labels' prediction sees all.
        tokens = self._network.encoder.tokens(videos)
        self._targets = self.labels[batch.rows["video"]]
        if self._network.training and own.label_smoothing and epoch >= own.label_warm_up_epochs:
            self._targets = torch.lerp(self._targets, self._predicted(tokens.detach()), own.label_smoothing)
        seen = self._network(tokens, batch.values["visible"], hidden)
        items = torch.arange(len(videos), device=videos.device)[:, None, None]
        return total_loss(
            {
                "reconstruction": reconstruction_loss(seen.restored, videos[items, hidden].flatten(0, 1)),
                "contrastive": debiased_contrastive(seen.codes[0::2], seen.codes[1::2], own.temperature, own.tau_plus),
                "cluster": cluster_loss(self._scaled(seen.clusters), self._targets),
            },
            own,
        )

    def after_step(self, batch: Batch) -> None:
        self.labels[batch.rows["video"]] = self._targets

    @torch.no_grad()
    def _predicted(self, tokens: Tensor) -> Tensor:
        """Probabilities (B, C) of the clusters, from all frames; drop-path acts, as in the authors' code."""
        encoder, classifier = self._network.encoder, self._network.classifier
        encoded = encoder.encoded(tokens)
        if self._parameters.label_normalised:
            return self._scaled(classifier(encoder.hash(encoded).mean(dim=1))).softmax(dim=1)
        logits: Tensor = classifier(binarise(encoder.hash.linear(encoded)).mean(dim=1))
        return logits.float().softmax(dim=1)

    def _scaled(self, clusters: Tensor) -> Tensor:
        return clusters.float() / (self._network.classifier.in_features * self._parameters.cluster_temperature)


def total_loss(parts: dict[str, Tensor], parameters: S5vhParameters) -> dict[str, Tensor]:
    """The parts and their weighted sum, `loss`."""
    weighted = (
        parts["reconstruction"]
        + parameters.contrastive_weight * parts["contrastive"]
        + parameters.cluster_weight * parts["cluster"]
    )
    return {"loss": weighted, **parts}


def reconstruction_loss(restored: Tensor, frames: Tensor) -> Tensor:
    """The sum of the mean squared errors of the two views, both (2·B, M, D)."""
    return 2 * functional.mse_loss(restored, frames)


def cluster_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of both views' logits (2·B, C), the views of a video in turn, and its labels (B, C)."""
    return functional.cross_entropy(logits, labels.repeat_interleave(2, dim=0))
