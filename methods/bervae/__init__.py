"""BerVAE: a variational auto-encoder of Bernoulli bits, trained by an unbiased estimate of its gradient."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from bench.context import FitContext
from bench.method import AuthorsWeights, Batch, DeepMethod, Draw, Features, Objective, Schedule, draw_corruption

from ..bth.checkpoint import INPUT, UNUSED, names
from .estimate import Estimator, gradient_estimate, reconstruction_errors
from .network import BervaeNetwork

AUTHORS = AuthorsWeights(
    names=names({"encoder.binary": "binary", "restore": "restore"})
    | {"sequence_restore.weight": "sequence_restore.weight"},
    input_weight=f"{INPUT}.weight",
    code_weight="binary.weight",
    frames=lambda weights: (len(weights["sequence_restore.weight"]),),
    unused=UNUSED,
)
"""The authors' names of the weights (wangyucheng1234/BerVAE)."""


class BervaeParameters(Schedule):
    """The authors' values for FCVID."""

    epochs: int = Field(201, ge=1, le=10**9)
    hidden: int = Field(256, ge=2, multiple_of=2)
    corruption: float = Field(0.15, ge=0, le=1)
    kl_weight: float = Field(0.1, ge=0)
    pretrain_epochs: int = Field(5, ge=0)
    """Epochs at the beginning in which the gradient passes the sampled bits as if they were their probabilities."""
    estimator: Estimator = "u2g"
    """Of the encoder's gradient after them."""
    draws: int = Field(2, ge=1)
    """Draws of the estimate, two codes each, besides the sample that trains the decoder."""
    reconstruct_corrupted: bool = False
    """Restore the corrupted frames, as the authors' code does, instead of the clean ones."""


class Bervae(DeepMethod):
    """BerVAE as its authors' code trains it, but for the frames that are restored, which are the clean ones."""

    name = "bervae"
    title = "BerVAE"
    paper = "Wang et al., Uncertainty-aware Unsupervised Video Hashing, AISTATS 2023"
    Parameters: ClassVar = BervaeParameters
    parameters: BervaeParameters
    authors = AUTHORS

    def network(self, frames: int, dimensions: int) -> BervaeNetwork:
        return BervaeNetwork(frames, dimensions, self.bits, self.parameters.hidden)

    def encoder(self, network: nn.Module) -> nn.Module:
        assert isinstance(network, BervaeNetwork)
        return network.encoder

    def objective(self, network: nn.Module, features: Features, context: FitContext) -> "BervaeObjective":
        assert isinstance(network, BervaeNetwork)
        return BervaeObjective(network, self.parameters, self.bits, features.shape[1])


@dataclass(frozen=True)
class BervaeObjective(Objective):
    """Reconstruction from one sampled code + 0.1·KL divergence of the bits from fair coins."""

    network: BervaeNetwork
    parameters: BervaeParameters
    bits: int
    frames: int

    def draw(self, videos: NDArray[np.int64], among: NDArray[np.int64], random: np.random.Generator) -> Draw:
        count = len(videos)
        plan = draw_corruption(random, count, self.frames, among, self.parameters.corruption)
        values = {
            "uniform": random.random((count, self.bits), np.float32),
            "uniform_estimate": random.random((count, self.parameters.draws, self.bits), np.float32),
        }
        return Draw({"video": videos}, values, {"video": plan})

    def loss(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        parameters = self.parameters
        target = (batch.corrupted if parameters.reconstruct_corrupted else batch.videos)["video"]
        pretrains = epoch < parameters.pretrain_epochs
        logits, restored = self.network(batch.corrupted["video"], batch.values["uniform"], pretrains)
        reconstruction = functional.mse_loss(restored, target)
        divergence = divergence_of_fair(logits.sigmoid())
        total = reconstruction + parameters.kl_weight * divergence
        if not pretrains:
            # Adds the estimated gradient to the logits' and nothing to the loss.
            surrogate = (logits * self.estimate(logits.detach(), target, batch.values["uniform_estimate"])).sum()
            total = total + surrogate - surrogate.detach()
        return {"loss": total, "reconstruction": reconstruction, "kl": divergence}

    @torch.no_grad()
    def estimate(self, logits: Tensor, target: Tensor, uniforms: Tensor) -> Tensor:
        """The estimated gradient (B, K) of the expected reconstruction loss by the logits (B, K)."""
        # Rounding to bfloat16 would drown the differences between two codes' errors.
        with torch.autocast(logits.device.type, enabled=False):
            scales, restore = self.network.sequence_restore.weight[:, 0], self.network.restore
            errors = reconstruction_errors(target.float(), scales, restore.weight, restore.bias)
            return gradient_estimate(logits, uniforms, errors, self.parameters.estimator) / target.numel()


def divergence_of_fair(probabilities: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence, in nats, of bits of these probabilities from fair ones."""
    zero = 1 - probabilities
    # As the authors have it, added to the ratio: a bit that is certain keeps a finite loss.
    return (probabilities * (2 * probabilities + 1e-8).log() + zero * (2 * zero + 1e-8).log()).mean()
