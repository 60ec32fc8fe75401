"""Training states on disk: an interrupted run resumes and gives the same result."""

import filecmp
import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.base.atomic import new_file
from bench.base.text import slug

SECONDS = 60.0


@dataclass
class Lowest:
    """The weights with the lowest loss so far."""

    loss: float = float("inf")
    epoch: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, loss: float, epoch: int, network: nn.Module) -> None:
        """Keep a copy of the network's weights if their loss is lower."""
        if not self.weights or loss < self.loss:
            self.loss, self.epoch = loss, epoch
            self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}

    def forget(self) -> None:
        """Start again, after the loss has changed its meaning."""
        self.loss, self.weights = float("inf"), {}


@dataclass(frozen=True)
class Trained:
    """Everything that training changes, and a resumed training needs."""

    network: nn.Module
    optimiser: Optimizer
    state: Mapping[str, Tensor]
    """Tensors of the objective, changed in place."""


@dataclass
class TrainingStates:
    """A folder with the last state of every stage of one run; written atomically, at intervals."""

    folder: Path
    seconds: float = SECONDS
    """Interval of saving: the most training that can be lost."""
    shared: Path | None = None
    """The folder for stages that several methods begin with, of this dataset, seed, machine and code; None: no such."""
    earlier: float = 0.0
    """Seconds that the run had been fitted for, in other processes, when the last restored state was saved."""
    _begun: float = field(default_factory=time.monotonic)
    _saved: float = field(default_factory=time.monotonic)

    def borrow(self, stage: str, key: str) -> bool:
        """Begin a stage with the state of a run that has finished it, if there is one and this run has none.

        `key` names everything on which the stage depends, except what the whole folder `shared` depends on. The
        seconds that the stage took are then in `earlier` as if this run had trained it.
        """
        finished = self._finished(stage, key)
        if not finished or not finished.is_file() or self._path(stage).exists():
            return False
        # Whatever goes wrong, the stage is trained.
        with suppress(OSError):
            _copy(finished, self._path(stage))
        return self._path(stage).exists()

    def lend(self, stage: str, key: str) -> None:
        """Keep the state of a finished stage for other runs; one there that is damaged is replaced."""
        finished, own = self._finished(stage, key), self._path(stage)
        if finished:
            # It only saves time.
            with suppress(OSError):
                if not finished.is_file() or not filecmp.cmp(own, finished, shallow=False):
                    _copy(own, finished)

    def due(self) -> bool:
        """Whether the interval since the last save has passed."""
        return time.monotonic() - self._saved >= self.seconds

    def save(self, stage: str, epoch: int, trained: Trained, lowest: Lowest, history: list[Any]) -> None:
        """Save the state after `epoch` epochs of a stage."""
        tensors = {f"network.{name}": value for name, value in trained.network.state_dict().items()}
        tensors |= {f"lowest.{name}": value for name, value in lowest.weights.items()}
        tensors |= {f"objective.{name}": value for name, value in trained.state.items()}
        for number, values in trained.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{name}": torch.as_tensor(value) for name, value in values.items()}
        copies = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        note = {"epoch": epoch, "history": history, "lowest_loss": lowest.loss, "lowest_epoch": lowest.epoch}
        note["fit_seconds"] = self.earlier + time.monotonic() - self._begun
        note["checksum"] = _checksum(note, copies)
        self.folder.mkdir(parents=True, exist_ok=True)
        with new_file(self._path(stage)) as beside:
            save_file(copies, beside, {"note": json.dumps(note)})
        self._saved = time.monotonic()

    def restore(self, stage: str, trained: Trained, lowest: Lowest, history: list[Any]) -> int:
        """Restore the last state of a stage, whole or not at all; return the number of epochs it had done.

        0 if there is no state, or it is damaged or does not fit.
        """
        try:
            with safe_open(self._path(stage), framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no dictionary
                note = dict(json.loads((file.metadata() or {})["note"]))
            checksum = note.pop("checksum")
            weights, lowest_weights = _part(tensors, "network."), _part(tensors, "lowest.")
            changed = _part(tensors, "objective.")
            state = trained.optimiser.state_dict()
            state["state"] = _nested(_part(tensors, "optimiser."))
            epoch, rows, earlier = int(note["epoch"]), list(note["history"]), float(note["fit_seconds"])
            found = Lowest(float(note["lowest_loss"]), int(note["lowest_epoch"]), lowest_weights)
            expected = _kinds(trained.network.state_dict())
            if (
                checksum != _checksum(note, tensors)
                or _kinds(weights) != expected
                or (lowest_weights and _kinds(lowest_weights) != expected)
                or _kinds(changed) != _kinds(trained.state)
                or not _is_of(state["state"], trained.optimiser)
            ):
                return 0
            # Before the network, which can no longer fail: if this fails, neither has changed.
            trained.optimiser.load_state_dict(state)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError):
            # Missing or damaged: a state only saves time.
            return 0
        trained.network.load_state_dict(weights)
        for name, value in trained.state.items():
            value.copy_(changed[name])
        # Of a method's stages the last one counts those before it.
        self.earlier = max(self.earlier, earlier)
        lowest.loss, lowest.epoch, lowest.weights = found.loss, found.epoch, found.weights
        history.extend(rows)
        return epoch

    def _path(self, stage: str) -> Path:
        return self.folder / f"{slug(stage)}.safetensors"

    def _finished(self, stage: str, key: str) -> Path | None:
        digest = hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
        return self.shared / f"{slug(stage)}-{digest}.safetensors" if self.shared else None


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with new_file(target) as beside:
        shutil.copyfile(source, beside)


def _checksum(note: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """The SHA-256 of a state: safetensors itself does not notice damaged values."""
    digest = hashlib.sha256(json.dumps(note).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _kinds(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.dtype, torch.Size]]:
    return {name: (value.dtype, value.shape) for name, value in tensors.items()}


def _is_of(state: dict[int, dict[str, Tensor]], optimiser: Optimizer) -> bool:
    """Whether tensors fit an optimiser's parameters; it would accept any, and fail at its next step."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    return all(
        number in range(len(parameters)) and (not value.ndim or value.shape == parameters[number].shape)
        for number, values in state.items()
        for value in values.values()
    )


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _nested(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    nested: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, key = name.partition(".")
        nested.setdefault(int(number), {})[key] = value
    return nested
