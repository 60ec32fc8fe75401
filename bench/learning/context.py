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

# PyTorch takes a second to import, which those who show progress alone need not spend.
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

    A stream depends on the seed and its name alone, not on what was drawn before: training that goes on from a
    checkpoint, or another number of workers, draws the same numbers.
    """

    seed: int
    device: "torch.device" = field(default_factory=_processor)
    progress: Progress = field(default_factory=SilentProgress)
    history: list[dict[str, float]] = field(default_factory=list)
    """Training losses, a row an epoch, as the report shows them."""
    checkpoint: str = "last epoch"
    """Which weights were kept, in words for the report."""
    states: "TrainingStates | None" = None
    """Where training keeps its state, so that it can go on after an interruption; None: nowhere."""
    residents: "Residents" = field(default_factory=_residents)
    """Where the training features live; shared by the runs of a sweep, which load them once."""
    say: Callable[[str], None] = lambda line: None
    """News in a line, such as where the features live."""
    stop: Callable[[], bool] = lambda: False
    """Whether somebody asked to stop; training then ends after the epoch, with its state saved."""

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
