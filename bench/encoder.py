"""An encoder: what comes out of fitting, and goes to disk without pickle."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from bench.data.features import ArrayFeatures, Features
from bench.errors import InputError
from bench.registry import Registry, load_registry
from bench.text import validation_message

DESCRIPTION, WEIGHTS = "encoder.json", "encoder.safetensors"
BATCH = 256


class EncoderDescription(BaseModel):
    """What is needed to build the module again; `encoder.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    method: str
    bits: int = Field(ge=1, le=1024)
    frames: int = Field(ge=1)
    dimensions: int = Field(ge=1)
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Encoder:
    """Turns features (n, T, D) into codes (n, K)."""

    description: EncoderDescription
    module: nn.Module
    history: list[dict[str, float]] = field(default_factory=list)
    """Training losses, a row an epoch; empty for methods that train in one go."""

    @property
    def device(self) -> torch.device:
        """Where the module's weights are."""
        tensors = [*self.module.parameters(), *self.module.buffers()]
        return tensors[0].device if tensors else torch.device("cpu")

    def encode(self, features: Features | NDArray[np.floating[Any]]) -> NDArray[np.int8]:
        """Codes (n, K) int8 in {−1, +1} of features (n, T, D); a relaxed output of exactly 0 counts as +1.

        Raises InputError if T or D is not what the encoder was fitted on, or a feature is NaN or infinite.
        """
        videos = features if isinstance(features, Features) else ArrayFeatures(np.asarray(features))
        count, frames, dimensions = videos.shape
        expected = (self.description.frames, self.description.dimensions)
        if (frames, dimensions) != expected:
            raise InputError(
                f"features have (frames, dimensions) = {(frames, dimensions)}; this {self.description.method} encoder "
                f"was fitted on {expected}"
            )
        codes = np.empty((count, self.description.bits), dtype=np.int8)
        self.module.eval()
        with torch.inference_mode():
            for start in range(0, count, BATCH):
                block = videos[start : start + BATCH]
                if not np.isfinite(block).all():
                    raise InputError(f"features of videos {start} to {start + len(block) - 1}: NaN or infinite values")
                relaxed = self.module(torch.from_numpy(block).to(self.device))
                if relaxed.shape != (len(block), self.description.bits):
                    raise RuntimeError(
                        f"{self.description.method} gave outputs of shape {tuple(relaxed.shape)} for {len(block)} "
                        f"videos; expected {(len(block), self.description.bits)}"
                    )
                if not torch.isfinite(relaxed).all():
                    raise RuntimeError(f"{self.description.method} gave NaN or infinite outputs")
                codes[start : start + len(block)] = torch.where(relaxed >= 0, 1, -1).to(torch.int8).cpu().numpy()
        return codes

    def save(self, folder: Path | str) -> None:
        """Write `encoder.json` and `encoder.safetensors` into `folder`, replacing an encoder that is there."""
        target = Path(folder)
        if target.exists() and not target.is_dir():
            raise InputError(f"{target}: is a file; name a folder")
        if target.exists() and not {path.name for path in target.iterdir()} <= {DESCRIPTION, WEIGHTS}:
            raise InputError(f"{target}: holds other files than an encoder's, which would be lost; name another folder")
        beside = target.with_name(f".{target.name}.saving")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.module.state_dict().items()}
        save_file(tensors, beside / WEIGHTS)
        description = self.description.model_dump(mode="json")
        (beside / DESCRIPTION).write_text(json.dumps(description, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)


def load_encoder(folder: Path | str, registry: Registry | None = None) -> Encoder:
    """The encoder saved in `folder`. Raises InputError if it is damaged or its method is not known here."""
    source = Path(folder)
    try:
        description = EncoderDescription.model_validate_json((source / DESCRIPTION).read_bytes())
        tensors = load_file(source / WEIGHTS)
    except ValidationError as error:
        raise InputError(f"{source / DESCRIPTION}: {validation_message(error)}") from error
    except OSError as error:
        raise InputError(
            f"{source}: holds no encoder ({error.strerror or error}); name a folder that has one"
        ) from error
    except SafetensorError as error:
        raise InputError(f"{source / WEIGHTS}: damaged ({error}); fit or copy the encoder again") from error
    method_class = (registry or load_registry()).method(description.method)
    try:
        parameters = method_class.Parameters.model_validate(description.parameters)
    except ValidationError as error:
        raise InputError(f"{source / DESCRIPTION}: parameters: {validation_message(error)}") from error
    module = method_class(description.bits, parameters).build(description.frames, description.dimensions)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"{source / WEIGHTS}: {' '.join(str(error).split())}") from error
    return Encoder(description, module.eval())
