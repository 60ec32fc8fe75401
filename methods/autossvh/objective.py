"""AutoSSVH's objective: ConMH's two losses, and after a warm-up prototypes of clusters that are found every epoch."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bench.method import Batch, Draw, Encode, Objective, TrainingError

from ..shared.autoencoder import MaskedAutoencoder
from ..shared.contrastive import debiased_contrastive
from ..shared.views import draw_views, hidden_frames
from .network import GradedAutoencoder
from .parameters import AutoSsvhParameters
from .prototypes import Prototypes, find_prototypes, normalised, prototype_loss
from .sampler import sampling_noise


@dataclass
class AutoSsvhObjective(Objective):
    """Reconstruction of both views + a·contrastive + b·prototype, the last one 0 until the warm-up ends."""

    network: MaskedAutoencoder
    parameters: AutoSsvhParameters
    frames: int
    device: torch.device
    prototypes: list[Prototypes] = field(default_factory=list)
    """Of each granularity; none during the warm-up."""

    def __post_init__(self) -> None:
        self.comparable_from = self.parameters.warm_up

    def begin_epoch(self, epoch: int, encode: Encode, random: np.random.Generator) -> None:
        if epoch < self.parameters.warm_up:
            return
        codes = encode(self.network.encoder)
        if not np.isfinite(codes).all():
            raise TrainingError(f"the codes that epoch {epoch} is to cluster are not finite; lower learning_rate")
        features = normalised(codes)
        self.prototypes = [
            find_prototypes(features, clusters, int(random.integers(2**31)), self.parameters.vote, self.device)
            for clusters in self.parameters.clusters
        ]

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        values: dict[str, NDArray[Any]] = {}
        if self.parameters.sampler == "grade":
            shape = (len(videos), 2, self.frames)
            uniform, normal = random.random(shape, np.float32), random.standard_normal(shape, np.float32)
            values["noise"] = sampling_noise(uniform, normal, self.parameters.sampler_noise)
        else:
            views = draw_views(random, len(videos), self.frames, self.parameters.mask_ratio)
            values["visible"], values["hidden"] = views.visible, views.hidden
        for number, prototypes in enumerate(self.prototypes):
            values[f"own{number}"] = prototypes.assignment[videos]
            values[f"negatives{number}"] = prototypes.draw_negatives(videos, random)
        return Draw({"video": videos}, values)

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        parameters = self.parameters
        codes, reconstruction = self._views(batch)
        both = codes[0::2], codes[1::2]
        contrastive = debiased_contrastive(*both, parameters.temperature, parameters.tau_plus)
        prototype = self._prototype_loss(both, batch) if self.prototypes else torch.zeros_like(contrastive)
        total = reconstruction + parameters.contrastive_weight * contrastive + parameters.prototype_weight * prototype
        return {"loss": total, "reconstruction": reconstruction, "contrastive": contrastive, "prototype": prototype}

    def _views(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean codes (2·B, K) of both views of each video, and the sum of the two views' mean squared errors."""
        videos, values = batch.videos["video"], batch.values
        if isinstance(self.network, GradedAutoencoder):
            visible = self.frames - hidden_frames(self.frames, self.parameters.mask_ratio)
            codes, restored = self.network.forward_graded(videos, values["noise"], visible)
            restored = restored.view(len(videos), 2, *videos.shape[1:])
            targets = videos.unsqueeze(1).expand_as(restored)
        else:
            codes, restored, targets = self.network(videos, values["visible"], values["hidden"])
        return codes, 2 * functional.mse_loss(restored, targets)

    def _prototype_loss(self, both: tuple[Tensor, Tensor], batch: Batch) -> Tensor:
        """The mean over both views (B, K) and all granularities."""
        losses = [
            prototype_loss(functional.normalize(codes), batch.values[f"own{number}"], negatives, prototypes)
            for number, prototypes in enumerate(self.prototypes)
            for codes, negatives in zip(both, batch.values[f"negatives{number}"], strict=True)
        ]
        return torch.stack(losses).mean()
