"""Checkpoints released by a method's authors, as encoders."""

import warnings
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsIndex, TypeVar

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from bench.base.errors import InputError
from bench.base.files import require_file
from bench.base.process_state import own_process_state
from bench.base.text import LONGEST_SHOWN, closest, one_line, validation_message
from bench.base.values import as_path, check_bits, plain, whole_number
from bench.encoding.checkpoint_file import Table, read_tables, require_sound
from bench.encoding.encoder import Encoder
from bench.encoding.modules import EncoderDescription
from bench.learning.deep_method import AuthorsWeights, DeepMethod
from bench.learning.method import Method
from bench.registry import find_method

WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Parts of names that PyTorch's wrappers (DataParallel, DDP, compile, FSDP) put between the others."""
COUNTER = ".num_batches_tracked"
T = TypeVar("T")
FRAMES = 25
"""Default for methods whose weights do not show it, as in the papers."""
MOST_FRAMES = 2**16
"""More would be a slip; BTH's positions grow with them."""


def load_checkpoint(
    method: str | type[Method],
    path: Path | str,
    bits: SupportsIndex,
    *,
    frames: SupportsIndex | None = None,
    **settings: Any,
) -> Encoder:
    """The authors' released weights as an encoder: `bench.load_checkpoint("mcmsh", "authors.pth", bits=16, alpha=1.0)`.

    The file is one of `torch.save` or `.safetensors`. The weights may be stored beside an epoch, an optimiser and the
    like, and all names may share a prefix, such as `module.`. Frames, depth and widths are taken from the weights'
    shapes. `settings` are what encoding needs and the file does not hold: MCMSH's `alpha`, which must be given; and
    what no shape shows, such as ConMH's `heads`, which is the paper's if it is not given. A warning names those, and
    frames that no shape shows and that are taken to be 25. Weights that the authors store and never use are left out
    with a warning.

    Raises InputError for a file without weights of the method, or with several; for missing, unknown or misshapen
    weights, by their names in the file; for settings that are missing, unknown or no finite numbers above 0; and where
    `bits` or `frames` are not the file's.
    """
    found = find_method(method)
    authors = found.authors if issubclass(found, DeepMethod) else None
    if not issubclass(found, DeepMethod) or authors is None:
        raise InputError(f"{found.name}: does not know how its authors store weights; fit it instead")
    given = {name: plain(value) for name, value in settings.items()}
    chosen = {name: given.pop(name) for name in authors.hidden_settings if name in given}
    _check_settings(found.name, authors, given)
    file, length = as_path(path, "path"), check_bits(bits)
    require_file(file, "name a checkpoint file")
    weights = _weights(file, found.name, authors)
    if len(weights[authors.code_weight]) != length:
        raise InputError(f"{file}: holds an encoder of {len(weights[authors.code_weight])} bits, not {length}")
    first = weights[authors.input_weight]
    hidden, dimensions = (first.T if authors.inputs_first else first).shape
    shown: Mapping[str, Any] = {"hidden": hidden}
    if authors.shown:
        nothing: Mapping[str, Any] = {}
        shown = _shown(authors.shown, weights, nothing)
    try:
        instance = found(length, found.Parameters.model_validate({**shown, **chosen}))
        description = EncoderDescription(
            method=found.name,
            bits=length,
            frames=_frames(file, weights, authors, frames),
            dimensions=dimensions,
            parameters=instance.parameters.model_dump(mode="json"),
        )
    except ValidationError as error:
        raise InputError(f"{file}: {validation_message(error)}; is this a checkpoint of {found.name}?") from error
    with own_process_state():
        # Shapes alone first: a few weights can make a network of any size.
        with torch.device("meta"):
            expected = instance.network(description.frames, dimensions).state_dict()
        renamed = _renamed(expected, weights, authors, given, file)
        network = instance.network(description.frames, dimensions)
    network.load_state_dict(renamed)
    _say_what_was_assumed(file, authors, weights, description, frames, {*shown, *chosen})
    return Encoder(description, instance.encoder(network).eval())


@dataclass(frozen=True)
class Found:
    """Weights of a method in a file, under the authors' names."""

    place: str
    """The place in the file."""
    weights: dict[str, Tensor]


def _weights(path: Path, method: str, authors: AuthorsWeights) -> dict[str, Tensor]:
    """The one table of a file that holds the method's weights, under the authors' names."""
    tables = read_tables(path)
    found = [fitting for table in tables for fitting in _fitting(table, authors)]
    if not found:
        names = [name for table in tables for name in table.weights]
        raise InputError(
            f"{path}: no matrix '{authors.input_weight}' with '{authors.code_weight}' among {len(names)} tensors, such "
            f"as '{one_line(names[0])[:LONGEST_SHOWN]}'; is this a checkpoint of {method}?"
        )
    if len(found) > 1:
        places = " and at ".join(one_line(fitting.place)[:LONGEST_SHOWN] for fitting in found[:2])
        raise InputError(f"{path}: weights of {method} are at {places}; save the ones to use in a separate file")
    require_sound(path, found[0].weights)
    return _once(found[0].weights, authors)


def _once(weights: dict[str, Tensor], authors: AuthorsWeights) -> dict[str, Tensor]:
    """The weights without those that are stored a second time under another name."""
    kept = dict(weights)
    for second, first in authors.repeated.items():
        for name in [name for name in weights if second in name]:
            twin = weights.get(name.replace(second, first))
            if twin is not None and torch.equal(twin, weights[name]):
                del kept[name]
    return kept


def _fitting(table: Table, authors: AuthorsWeights) -> Iterator[Found]:
    """The method's weights in a table, for every prefix of their names, without wrappers' parts."""
    inner = {".".join(part for part in name.split(".") if part not in WRAPPERS): name for name in table.weights}
    if len(inner) < len(table.weights):
        inner = {name: name for name in table.weights}
    for last in inner:
        prefix = last.removesuffix(authors.code_weight)
        if last == f"{prefix}{authors.code_weight}" and f"{prefix}{authors.input_weight}" in inner:
            weights = {_named(name, prefix): table.weights[own] for name, own in inner.items()}
            if weights[authors.code_weight].ndim == weights[authors.input_weight].ndim == 2:
                yield Found(f"{table.place or 'the top'}{f', {prefix}…' if prefix else ''}", weights)


def _named(name: str, prefix: str) -> str:
    return name.removeprefix(prefix) if name.startswith(prefix) else f"{name} (without '{prefix}')"


def _frames(path: Path, weights: Mapping[str, Tensor], authors: AuthorsWeights, asked: SupportsIndex | None) -> int:
    """The frames by the weights' shapes, else those asked for, else those of the paper."""
    given = None if asked is None else whole_number(asked, "frames", 1, MOST_FRAMES)
    seen = _frames_shown(weights, authors)
    if not seen:
        return given or FRAMES
    if given is not None and given not in seen:
        shown = " or ".join(map(str, seen))
        raise InputError(f"{path}: holds an encoder of {shown} frames, not {given}; leave frames= out")
    return given or seen[0]


def _frames_shown(weights: Mapping[str, Tensor], authors: AuthorsWeights) -> Sequence[int]:
    """The numbers of frames that the weights fit, the usual one first; empty if no weight shows them."""
    return _shown(authors.frames, weights, ()) if authors.frames else ()


def _shown(look: Callable[[Mapping[str, Tensor]], T], weights: Mapping[str, Tensor], otherwise: T) -> T:
    """What a method finds in its weights; `otherwise` if one is missing or misshapen, and will be refused by name."""
    try:
        return look(weights)
    except (KeyError, IndexError, TypeError, ValueError):
        return otherwise


def _say_what_was_assumed(
    path: Path,
    authors: AuthorsWeights,
    weights: Mapping[str, Tensor],
    description: EncoderDescription,
    frames: SupportsIndex | None,
    known: Container[str],
) -> None:
    """Warn of the settings that neither the file nor the caller named."""
    assumed = [] if frames is not None or _frames_shown(weights, authors) else [f"frames={description.frames}"]
    assumed += [f"{name}={description.parameters[name]}" for name in authors.hidden_settings if name not in known]
    if assumed:
        said = f"{path}: taken to be {', '.join(assumed)}, which no weight shows; name what is different"
        warnings.warn(said, stacklevel=3)


def _check_settings(method: str, authors: AuthorsWeights, settings: Mapping[str, float]) -> None:
    for name in settings:
        if name not in authors.settings:
            taken = [*authors.settings, *authors.hidden_settings]
            known = closest(name, taken) if taken else "it takes none"
            raise InputError(f"{method}: its checkpoints need no '{name}': {known}")
    for name, meaning in authors.settings.items():
        if name not in settings:
            raise InputError(f"{method}: its checkpoints need {name}=…: {meaning}")
        if not _is_positive(settings[name]):
            given = one_line(repr(settings[name]))[:LONGEST_SHOWN]
            raise InputError(f"{method}: {name}={given} is no number above 0: {meaning}")


def _is_positive(value: object) -> bool:
    """Whether it is a finite number above 0, also as float32."""
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
    # How many batches a layer has seen is used by nothing here; older versions of PyTorch do not store it.
    counters = {theirs: torch.tensor(0) for theirs in stored.values() if theirs.endswith(COUNTER)}
    weights = counters | {name: value for name, value in weights.items() if not name.endswith(COUNTER)}
    unused = sorted(weights.keys() & authors.unused)
    if unused:
        warnings.warn(f"{path}: left out, since encoding never uses them: {', '.join(unused)}", stacklevel=3)
    _refuse(path, "missing weights", sorted(set(stored.values()) - weights.keys()))
    _refuse(path, "unknown weights", sorted(weights.keys() - set(stored.values()) - set(unused)))
    renamed = {
        ours: weights[theirs][..., 0] if weights[theirs].shape == (*expected[ours].shape, 1) else weights[theirs]
        for ours, theirs in stored.items()
    }
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
        raise InputError(f"{path}: {what}: {', '.join(names[:3])}{more}; is it of this method, with these settings?")
