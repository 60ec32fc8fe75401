"""SSVH's objective: codes like those of similar videos, from which frames can be restored.

Shapes: B videos of a batch, N training videos, K bits.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bench.method import Batch, Draw, Objective

from ..ssth.network import squared_errors
from .neighbours import Neighbourhood
from .network import SsvhNetwork
from .parameters import SsvhParameters


class SsvhObjective(Objective):
    """a·pairwise + b·(Σ backward + Σ forward + T·Σ mean)/3, sums; reported for one video.

    The last h of every training video is remembered, zeros until its first step.
    """

    def __init__(
        self, network: SsvhNetwork, parameters: SsvhParameters, neighbourhood: Neighbourhood, memory: Tensor
    ) -> None:
        self._network, self._parameters, self._neighbourhood = network, parameters, neighbourhood
        self.memory = memory
        """(N, K) float32."""
        self._hidden = memory[:0]

    def state(self) -> Mapping[str, Tensor]:
        return {"memory": self.memory}

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        similar = self._neighbourhood.similar(videos)
        values = {"starts": similar.starts, "members": similar.members, "among": similar.among}
        return Draw({"video": videos}, values)

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        own, videos = self._parameters, batch.videos["video"][:, : self._network.encoder.frames]
        hidden, decoded = self._network(videos)
        self._hidden = hidden.detach()
        # Small beside the network, and squares of large sums.
        with torch.autocast(videos.device.type, enabled=False):
            others = self.memory.index_fill(0, batch.rows["video"], 0)
            pairwise = pairwise_error(hidden, others, batch.values, own.dissimilar)
        quantisation = (hidden - hidden.detach().sign()).square().sum()
        errors = squared_errors(decoded, videos)
        reconstruction = (errors["backward"] + errors["forward"] + videos.shape[1] * errors["mean"]) / 3
        pairwise = pairwise + own.quantisation_weight * quantisation
        total = own.pairwise_weight * pairwise + own.reconstruction_weight * reconstruction
        sums = {"loss": total, "pairwise": pairwise, "reconstruction": reconstruction, **errors}
        return {**{name: value / len(videos) for name, value in sums.items()}, "minimised": total}

    def after_step(self, batch: Batch) -> None:
        self.memory[batch.rows["video"]] = self._hidden


def pairwise_error(hidden: Tensor, others: Tensor, similar: Mapping[str, Tensor], dissimilar: float) -> Tensor:
    """Σ_i Σ_j (⟨h_i, m_j⟩/K − s_ij)² over the batch and all N videos; within the batch m_j is h_j, and gets gradients.

    `others` (N, K): the memory with zeros for the batch. `similar`: `starts` (B,) and `members` of each video's similar
    ones, for which s is 1, else `dissimilar`; `among` (B, B), those within the batch.

    Without an array (B, N): outside of the batch the sum is Σ_i h_i·(MᵀM)·h_iᵀ/K² − 2·⟨h_i, Σ_j s_ij·m_j⟩/K + Σ s_ij².
    """
    batch, width = hidden.shape
    among = similar["among"]
    signs = torch.where(among, 1.0, dissimilar)
    inside = (hidden @ hidden.T / width - signs).square().sum()
    drawn = functional.embedding_bag(similar["members"], others, similar["starts"], mode="sum")
    target = (1 - dissimilar) * drawn + dissimilar * others.sum(dim=0)
    squares = ((hidden @ (others.T @ others)) * hidden).sum() / width**2
    near = len(similar["members"]) - among.sum()
    far = batch * (len(others) - batch) - near
    return inside + squares - 2 * (hidden * target).sum() / width + near + far * dissimilar**2
