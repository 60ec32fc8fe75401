"""The context of a fit: seed, device, progress, history."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bench.base.progress import Progress, SilentProgress

if TYPE_CHECKING:
    import torch

    from bench.learning.residency import Residents
    from bench.learning.states import TrainingStates


# PyTorch takes a second to import, which code that only shows progress can save.
# ruff: noqa: PLC0415
def _processor() -> "torch.device":
    import torch

    return torch.device("cpu")


def _residents() -> "Residents":
    from bench.learning.residency import Residents

    return Residents()


@dataclass
class FitContext:
    """Seed, device and progress of one fit. Random numbers come from named, counter-based streams of the seed.

    A stream depends on the seed and its name alone, not on what was drawn before: training that resumes, or uses
    another number of workers, draws the same numbers.
    """

    seed: int
    device: "torch.device" = field(default_factory=_processor)
    progress: Progress = field(default_factory=SilentProgress)
    history: list[dict[str, float]] = field(default_factory=list)
    """Training losses, one row per epoch, as the report shows them."""
    checkpoint: str = "last epoch"
    """The weights that were kept, in words for the report."""
    states: "TrainingStates | None" = None
    """Storage of the training state, to resume after an interruption; None: no storage."""
    residents: "Residents" = field(default_factory=_residents)
    """The loaded training features, shared by the runs of a sweep."""
    say: Callable[[str], None] = lambda line: None
    """Shows a one-line message, such as where the features are kept."""
    stop: Callable[[], bool] = lambda: False
    """Whether a stop was requested; training then ends after the epoch, with its state saved."""

    def random(self, *stream: str | int) -> np.random.Generator:
        """A numpy generator for the stream of this name."""
        return np.random.Generator(np.random.Philox(key=self._key(*stream)))

    def seed_torch(self, *stream: str | int) -> None:
        """Seed torch's own generators (initial weights, dropout) for the stream of this name."""
        import torch

        torch.manual_seed(self._key(*stream) % 2**63)

    def _key(self, *stream: str | int) -> int:
        text = "/".join(str(part) for part in (self.seed, *stream))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest())
