"""From a method's name, parameters and a dataset to an encoder."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import nn

from bench.context import FitContext
from bench.data.dataset import Dataset, Recommended, Split, Summary
from bench.data.features import ArrayFeatures, Features
from bench.encoder import Encoder, EncoderDescription
from bench.errors import InputError
from bench.inference.stream import OutputError
from bench.method import Method, Parameters
from bench.registry import load_registry
from bench.spec import check_bits
from bench.text import closest, validation_message


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
    # A recommendation speaks of parameters by name to methods that share them, such as a paper's ablations.
    merged = {**method.defaults(summary.train_shape), **recommended.get(method.name, {}), **chosen}
    try:
        return method.Parameters.model_validate(merged)
    except ValidationError as error:
        raise InputError(f"{method.name}.{validation_message(error)}") from error


def inputs(method: type[Method], split: Split) -> Features:
    """What a method is shown of a split: its features, or for a bound that uses labels its labels as (N, 1, C)."""
    if not method.uses_labels:
        return split.features
    if split.labels is None:
        raise InputError(f"{method.name} is made from labels, and this split has none")
    return ArrayFeatures(split.labels[:, None, :].astype(np.float32))


def choose_device(name: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`. Raises InputError if it is unknown or not there."""
    if name not in {"auto", "cpu", "cuda"}:
        raise InputError(f"unknown device '{name}': known: auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda': PyTorch finds no CUDA device here; use auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def fit_method(method: Method, data: Dataset, context: FitContext) -> Encoder:
    """Fit, and wrap what comes out. Training labels are shown to no method but the bounds made from labels.

    Raises OutputError if what comes out is no network.
    """
    # A bound needs to see labels only; which split they come from does not matter to it.
    features = inputs(type(method), data.gallery if method.uses_labels else data.train)
    method.check(features.shape)
    with Deterministic():
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


class Deterministic:
    """While open, torch uses deterministic algorithms only: the same seed gives the same codes, to the bit."""

    def __enter__(self) -> None:
        # cuBLAS is deterministic only with a fixed workspace; it reads this when the device is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        self._before = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(True)

    def __exit__(self, *error: object) -> None:
        torch.use_deterministic_algorithms(self._before)


def fit(method: str, data: Dataset, bits: int, *, seed: int = 0, device: str = "auto", **parameters: Any) -> Encoder:
    """Fit a method by name: `bench.fit("mcmsh", data, bits=32, seed=0, epochs=5)`.

    Raises InputError for an unknown method, device or parameter, or bits outside 1…1024.
    """
    found = load_registry().method(method)
    resolved = resolve_parameters(found, data.summary, data.recommended, parameters)
    return fit_method(found(check_bits(bits), resolved), data, FitContext(seed, choose_device(device)))
