"""The weights that a method's authors released, as an encoder."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from bench.checkpoint_file import read_weights
from bench.encoder import Encoder, EncoderDescription
from bench.errors import InputError
from bench.input_files import require_file
from bench.paths import named_path
from bench.registry import load_registry
from bench.spec import check_bits
from bench.text import LONGEST_SHOWN, closest, one_line, validation_message
from bench.training import AuthorsWeights, DeepMethod


def load_checkpoint(method: str, path: Path | str, bits: int, *, frames: int = 25, **settings: float) -> Encoder:
    """The authors' released weights as an encoder: `bench.load_checkpoint("mcmsh", "authors.pth", bits=16, alpha=1.0)`.

    `settings` are the positive numbers that encoding needs and the file does not hold, such as MCMSH's `alpha`. Weights
    that the authors store and never use are left out with a warning. Raises InputError for a file that is no state
    dict; for missing, unknown or misshapen weights, by their names in the file; for settings that are missing, unknown
    or no finite numbers above 0; and where `bits` are not the file's.
    """
    found = load_registry().method(method)
    authors = found.authors if issubclass(found, DeepMethod) else None
    if not issubclass(found, DeepMethod) or authors is None:
        raise InputError(f"{method}: does not know how its authors store weights; fit it instead")
    _check_settings(method, authors, settings)
    file = named_path(path)
    require_file(file, "name a checkpoint file")
    weights = read_weights(file)
    for name in (authors.input_weight, authors.code_weight):
        if name not in weights or weights[name].ndim != 2:
            raise InputError(f"{file}: no matrix '{name}'; is this a checkpoint of {method}?")
    if len(weights[authors.code_weight]) != check_bits(bits):
        raise InputError(f"{file}: holds an encoder of {len(weights[authors.code_weight])} bits, not {bits}")
    hidden, dimensions = weights[authors.input_weight].shape
    try:
        instance = found(bits, found.Parameters.model_validate({"hidden": hidden}))
        description = EncoderDescription(
            method=method,
            bits=bits,
            frames=frames,
            dimensions=dimensions,
            parameters=instance.parameters.model_dump(mode="json"),
        )
    except ValidationError as error:
        raise InputError(f"{file}: {validation_message(error)}; is this a checkpoint of {method}?") from error
    # Shapes alone first: a few weights can make a network of any size.
    with torch.device("meta"):
        expected = instance.network(description.frames, dimensions).state_dict()
    renamed = _renamed(expected, weights, authors, settings, file)
    network = instance.network(description.frames, dimensions)
    network.load_state_dict(renamed)
    return Encoder(description, instance.encoder(network).eval())


def _check_settings(method: str, authors: AuthorsWeights, settings: Mapping[str, float]) -> None:
    for name in settings:
        if name not in authors.settings:
            known = closest(name, authors.settings) if authors.settings else "it takes none"
            raise InputError(f"{method}: its checkpoints need no '{name}': {known}")
    for name, meaning in authors.settings.items():
        if name not in settings:
            raise InputError(f"{method}: its checkpoints need {name}=…: {meaning}")
        if not _is_positive(settings[name]):
            given = one_line(repr(settings[name]))[:LONGEST_SHOWN]
            raise InputError(f"{method}: {name}={given} is no number above 0: {meaning}")


def _is_positive(value: object) -> bool:
    """Is it a finite number above 0, also in the 32 bits that a network computes in?"""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    limits = np.finfo(np.float32)
    # As Python's own floats, since numpy's turn a huge integer into one.
    return bool(float(limits.tiny) <= value <= float(limits.max))


def _renamed(
    expected: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    authors: AuthorsWeights,
    settings: Mapping[str, float],
    path: Path,
) -> dict[str, Tensor]:
    """The weights under our names; 1×1 convolutions become the linear layers that they are."""
    stored = {ours: theirs for ours, theirs in authors.names.items() if ours in expected}
    unused = sorted(weights.keys() & authors.unused)
    if unused:
        warnings.warn(f"{path}: left out, since encoding never uses them: {', '.join(unused)}", stacklevel=3)
    _refuse(path, "missing weights", sorted(set(stored.values()) - weights.keys()))
    _refuse(path, "unknown weights", sorted(weights.keys() - set(stored.values()) - set(unused)))
    renamed = {ours: weights[theirs] for ours, theirs in stored.items()}
    renamed = {ours: value.squeeze(2) if value.ndim > expected[ours].ndim else value for ours, value in renamed.items()}
    _refuse(
        path,
        "weights of another shape",
        [
            f"{stored[ours]} {tuple(weights[stored[ours]].shape)} instead of {tuple(expected[ours].shape)}"
            for ours, value in renamed.items()
            if value.shape != expected[ours].shape
        ],
    )
    return renamed | {name: torch.tensor(float(value)) for name, value in settings.items()}


def _refuse(path: Path, what: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise InputError(f"{path}: {what}: {', '.join(names[:3])}{more}; is it of this method, with these frames?")
