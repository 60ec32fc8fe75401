"""Multiply-adds of an encoder as fvcore counts them, and of recurrent layers, which it leaves out, by the same rule."""

import math
import warnings
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import get_shape
from torch import nn

RECURRENT = ("gru", "lstm", "rnn_relu", "rnn_tanh")


def parameter_count(module: nn.Module) -> int:
    """Numbers learned by fitting and stored in the module; batch statistics and fixed tables do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


def flops(module: nn.Module, frames: int, dimensions: int) -> tuple[int, dict[str, int]]:
    """Multiply-adds of encoding one video of T frames and D features, as fvcore counts them.

    Also the operators that have no count, with their number of calls.
    """
    traced = analysis(module, frames, dimensions)
    with warnings.catch_warnings():
        # fvcore traces the module; the tracer's remarks on constants do not concern the count.
        warnings.simplefilter("ignore")
        total = int(traced.total())
        uncounted = {name.removeprefix("aten::"): int(calls) for name, calls in traced.unsupported_ops().items()}
    return total, dict(sorted(uncounted.items()))


def flops_by_module(module: nn.Module, frames: int, dimensions: int) -> dict[str, int]:
    """fvcore's multiply-adds of one video by submodule, those of a submodule's own parts included; none of 0."""
    traced = analysis(module, frames, dimensions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counts = traced.by_module()
    return {str(name): int(count) for name, count in sorted(counts.items()) if name and count}


def analysis(module: nn.Module, frames: int, dimensions: int) -> Any:
    """fvcore's count of encoding one video, not yet made: handles can be set."""
    device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))
    traced: Any = FlopCountAnalysis(module, torch.zeros(1, frames, dimensions, device=device))
    traced.set_op_handle(**{f"aten::{name}": _recurrent for name in RECURRENT})
    return traced.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")


def _recurrent(inputs: list[Any], _outputs: list[Any]) -> int:
    """The matrix products of a recurrent layer: every weight once a step, as in a linear layer; no biases, no gates.

    The operator takes (steps, batch, features), or (steps of all, features) of packed sequences, and a list of all
    layers' and directions' weights: matrices of inputs, of states and, in projected LSTMs, of outputs.
    """
    *steps, _ = get_shape(inputs[0])
    lists = [value.node() for value in inputs if value.node().kind() == "prim::ListConstruct"]
    shapes = [get_shape(value) for node in lists for value in node.inputs()]
    return math.prod(steps) * sum(math.prod(shape) for shape in shapes if shape is not None and len(shape) == 2)
