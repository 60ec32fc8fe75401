"""AutoSSVH's parameters."""

from typing import Annotated, Literal

from pydantic import Field

from ..conmh import ConmhParameters
from .prototypes import Vote

LONGEST_WARM_UP, WARM_UP_SHARE = 100, 7


class AutoSsvhParameters(ConmhParameters):
    """The authors' values for FCVID; on small training sets the default is fewer clusters."""

    epochs: int = Field(805, ge=1, le=10**9)
    prototype_weight: float = Field(0.01, ge=0)
    clusters: tuple[Annotated[int, Field(ge=2)], ...] = Field((250, 400, 600), min_length=1)
    """Numbers of clusters, one a granularity; found anew every epoch, from the codes of all training videos."""
    warm_up_epochs: int | None = Field(None, ge=0)
    """Epochs without prototypes; none given: a seventh of `epochs`, 100 at most."""
    vote: Vote = "mean"
    """sign: prototypes are corners of the cube, the members' vote on each bit, which is our reading of the paper."""
    input_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the input features that are zeroed in training."""
    sampler: Literal["random", "grade"] = "random"
    """grade: the frames of a view are chosen by a learned adversary. The authors' code has it and trains without it;
    ours follows the paper's figure, and its results are not comparable with the published ones."""
    sampler_noise: float = Field(10.0, ge=0)
    """Standard deviation of the normal noise that is added to the Gumbel noise of `sampler="grade"`."""

    @property
    def warm_up(self) -> int:
        """Epochs without prototypes."""
        if self.warm_up_epochs is None:
            return min(LONGEST_WARM_UP, self.epochs // WARM_UP_SHARE)
        return self.warm_up_epochs
