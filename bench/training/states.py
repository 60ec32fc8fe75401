"""Training states on disk: an interrupted run goes on from the last one and ends as if nothing had happened."""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.text import slug
from bench.training.losses import Lowest

SECONDS = 60.0


@dataclass
class TrainingStates:
    """A folder with the last state of every stage of one run; written whole by renaming, at intervals."""

    folder: Path
    seconds: float = SECONDS
    """At most so much training is lost."""
    _saved: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        """Whether the last saving is long enough ago."""
        return time.monotonic() - self._saved >= self.seconds

    def save(
        self, stage: str, epoch: int, network: nn.Module, optimiser: Optimizer, lowest: Lowest, history: list[Any]
    ) -> None:
        """Keep the state after so many epochs of a stage."""
        tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
        tensors |= {f"lowest.{name}": value for name, value in lowest.weights.items()}
        for number, values in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{name}": torch.as_tensor(value) for name, value in values.items()}
        note = {"epoch": epoch, "history": history, "lowest_loss": lowest.loss, "lowest_epoch": lowest.epoch}
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(stage)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            copies = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
            save_file(copies, beside, {"note": json.dumps(note)})
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        self._saved = time.monotonic()

    def restore(
        self, stage: str, network: nn.Module, optimiser: Optimizer, lowest: Lowest, history: list[Any]
    ) -> int:  # fmt: skip
        """Put the last state of a stage back in place; how many epochs it had done, 0 if there is none to be read."""
        try:
            with safe_open(self._path(stage), framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no dictionary
                note = json.loads((file.metadata() or {})["note"])
            state = optimiser.state_dict()
            state["state"] = _nested(_part(tensors, "optimiser."))
            network.load_state_dict(_part(tensors, "network."))
            optimiser.load_state_dict(state)
        except (OSError, SafetensorError, KeyError, ValueError, RuntimeError):
            # None there, or a damaged one: it only saves time, and the run can be done without.
            return 0
        lowest.loss, lowest.epoch, lowest.weights = note["lowest_loss"], note["lowest_epoch"], _part(tensors, "lowest.")
        history.extend(note["history"])
        return int(note["epoch"])

    def _path(self, stage: str) -> Path:
        return self.folder / f"{slug(stage)}.safetensors"


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _nested(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    nested: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, key = name.partition(".")
        nested.setdefault(int(number), {})[key] = value
    return nested
