"""Golden files of the methods with BTH's encoder: their weights, and the gradients of a step."""

from typing import Any

import torch
from torch import Tensor, nn

from bench.learning.deep_method import AuthorsWeights
from tests.learning.stages import Stage, stages_of, without_dropout
from tests.methods.masked import assert_near, tensors

GRADIENT = 1e-4
"""Of the largest number of an array, or of a thousandth of the largest of all."""


def sizes(truth: dict[str, Tensor]) -> tuple[int, int]:
    """Hidden channels and features, by the weights."""
    hidden, dimensions = truth["weight/bert.embedding.frame_map.weight"].shape
    return hidden, dimensions


def loaded(network: nn.Module, authors: AuthorsWeights, truth: dict[str, Tensor]) -> Any:
    """The network with a file's weights, all of which are used or known not to be."""
    names = authors.names
    weights = {name.removeprefix("weight/") for name in truth if name.startswith("weight/")}
    assert weights == {*names.values(), *authors.unused}
    network.load_state_dict({ours: truth[f"weight/{theirs}"] for ours, theirs in names.items()})
    return network.eval()


def stage(method: str, file: str, frames: int, bits: int, **parameters: Any) -> Stage:
    """The last training that a fit begins, with a file's weights and without dropout."""
    truth = tensors(file)
    hidden, dimensions = sizes(truth)
    found = stages_of(method, bits, frames, dimensions, hidden=hidden, **parameters)[-1]
    loaded(found.network, found.authors, truth)
    without_dropout(found.network)
    return found


def assert_gradients(trained: Stage, loss: Tensor, truth: dict[str, Tensor]) -> None:
    """The gradients of the loss by all weights are those of the file."""
    loss.backward()  # type: ignore[no-untyped-call]
    expected = {name.removeprefix("gradient/"): value for name, value in truth.items() if name.startswith("gradient/")}
    weights = dict(trained.network.named_parameters())
    assert {trained.authors.names[ours] for ours in weights} == set(expected)
    floor = 1e-3 * max(value.abs().max() for value in expected.values())
    for ours, weight in weights.items():
        name = trained.authors.names[ours]
        assert weight.grad is not None, name
        error = (weight.grad - expected[name]).abs().max() / torch.maximum(expected[name].abs().max(), floor)
        assert error <= GRADIENT, f"{name}: {error:.1e}"


def assert_hidden(encoder: Any, truth: dict[str, Tensor]) -> None:
    """Every stage of the encoder's block that the file has."""
    embedded = encoder.frame_map(truth["x"]) + encoder.positions
    attended = embedded + encoder.attention(encoder.attention_norm(embedded))
    stages = {"embedded": embedded, "after_attention": attended, "hidden": encoder.hidden(truth["x"])}
    for name, found in stages.items():
        if name in truth:
            assert_near(found, truth[name], name)
