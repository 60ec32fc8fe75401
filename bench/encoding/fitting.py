"""Fitting: a method's name, parameters and a dataset in, an encoder out."""

from collections.abc import Mapping
from os import PathLike
from typing import Any, SupportsIndex

import numpy as np
import torch
from numpy.typing import ArrayLike
from pydantic import ValidationError
from torch import nn

from bench.base.errors import InputError
from bench.base.process_state import deterministic, own_process_state
from bench.base.text import closest, shown, validation_message
from bench.base.values import check_bits, check_seed, plain
from bench.data.dataset import Dataset, Recommended, Split, Summary
from bench.data.features import ArrayFeatures, Features, as_features, require_finite
from bench.encoding.backends import OutputError
from bench.encoding.encoder import Encoder
from bench.encoding.modules import EncoderDescription
from bench.learning.context import FitContext
from bench.learning.method import Method, Parameters
from bench.registry import find_method


def resolve_parameters(
    method: type[Method], summary: Summary, recommended: Recommended, chosen: Mapping[str, Any]
) -> Parameters:
    """All parameters of a run: the chosen ones, else what the dataset recommends, else the method's defaults.

    Raises InputError for an unknown name or a value of the wrong kind.
    """
    known = method.Parameters.model_fields
    for name in chosen:
        if name not in known:
            raise InputError(f"{method.name} has no parameter '{name}': {closest(name, known)}")
    # Recommendations are checked too: methods may share them, such as a paper's ablations.
    given = {name: plain(value) for name, value in chosen.items()}
    merged = {**method.defaults(summary.train_shape), **recommended.get(method.name, {}), **given}
    try:
        return method.Parameters.model_validate(merged)
    except ValidationError as error:
        raise InputError(f"{method.name}.{validation_message(error)}") from error


def inputs(method: type[Method], split: Split) -> Features:
    """The input of a method from a split: its features, or for a bound that uses labels, those as (N, 1, C)."""
    if not method.uses_labels:
        return split.features
    if split.labels is None:
        raise InputError(f"{method.name} is made from labels, and this split has none")
    return ArrayFeatures(split.labels[:, None, :].astype(np.float32))


def choose_device(device: str | torch.device) -> torch.device:
    """The device for `auto`, `cpu`, `cuda` or `cuda:N`, as text or torch.device.

    Raises InputError if it is unknown or not there.
    """
    name = str(device).lower() if isinstance(device, str | torch.device) else ""
    if name in {"auto", "cpu"}:
        name = "cuda" if name == "auto" and torch.cuda.is_available() else "cpu"
        return torch.device(name)
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()) or name.endswith(":"):
        raise InputError(f"unknown device {shown(device)}: known: auto, cpu, cuda, cuda:N")
    if not torch.cuda.is_available():
        raise InputError(f"device '{name}': PyTorch finds no CUDA device here; use auto or cpu")
    if number and int(number) >= torch.cuda.device_count():
        raise InputError(f"device '{name}': there are {torch.cuda.device_count()} CUDA devices, counted from 0")
    return torch.device(name)


def fit_method(method: Method, data: Dataset, context: FitContext) -> Encoder:
    """Fit a method and wrap its network as an encoder. Only bounds made from labels see any.

    Raises OutputError if the result is no network.
    """
    # A bound needs labels only, of any split.
    features = inputs(type(method), data.gallery if method.uses_labels else data.train)
    method.check(features.shape)
    with own_process_state(), deterministic():
        fitted: Any = method.fit(features, context)
    if not isinstance(fitted, nn.Module):
        raise OutputError(f"fit of {method.name} returned {type(fitted).__name__}; expected an nn.Module")
    description = EncoderDescription(
        method=method.name,
        bits=method.bits,
        frames=features.shape[1],
        dimensions=features.shape[2],
        parameters=method.parameters.model_dump(mode="json"),
    )
    return Encoder(description, fitted.eval(), context.history)


def fit(
    method: str | type[Method],
    data: Dataset | Features | ArrayLike,
    bits: SupportsIndex,
    *,
    seed: SupportsIndex = 0,
    device: str | torch.device = "auto",
    **parameters: Any,
) -> Encoder:
    """Fit a method: `bench.fit("mcmsh", data, bits=32, seed=0, epochs=5)`.

    `method` is a name, or a subclass of `Method`. `data` is a dataset, or training features alone: an array, tensor or
    list (N, T, D), or (N, D) of one frame each. Equal arguments give equal codes, from any thread: fits in one process
    take turns, and leave PyTorch's settings and random stream as they were.

    Raises InputError for an unknown method, device or parameter, bits outside 1…1024, a seed outside 0…2³²-1, and
    features that are NaN or infinite or from which the method cannot learn.
    """
    found = find_method(method)
    context = FitContext(check_seed(seed), choose_device(device))
    length, dataset = check_bits(bits), as_dataset(data)
    resolved = resolve_parameters(found, dataset.summary, dataset.recommended, parameters)
    return fit_method(found(length, resolved), dataset, context)


def as_dataset(data: Dataset | Features | ArrayLike) -> Dataset:
    """A dataset to fit on: `data` itself, or training features without labels as one. Their values are finite."""
    if isinstance(data, str | PathLike):
        raise InputError(f"data: {shown(data)} is a name or path; give bench.load_dataset({shown(str(data))})")
    if isinstance(data, Dataset):
        dataset = data
    else:
        split = Split(as_features(data, "data", pooled=True))
        count, frames, dimensions = split.features.shape
        summary = Summary(
            name="array",
            title="array",
            fingerprint="",
            train_videos=count,
            query_videos=count,
            gallery_videos=count,
            frames=frames,
            dimensions=dimensions,
            classes=0,
            self_search=True,
        )
        dataset = Dataset(summary, split, split, split, ())
    features = dataset.train.features
    if not all(features.shape):
        raise InputError(f"data: training features have shape {features.shape}; there is nothing to learn from")
    require_finite(features, "data: training features")
    return dataset
