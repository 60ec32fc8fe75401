"""Parameters, multiply-adds and other operations of a module, as fvcore counts them."""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import get_shape
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bench.profile.operators import ADAPTIVE, ELEMENTWISE, POOLING, REDUCTIONS, SOFTMAXES, plain

RECURRENT = ("gru", "lstm", "rnn_relu", "rnn_tanh")
SOFTMAX = 5
"""Operations per element of a softmax."""
Handle = Callable[[list[Any], list[Any]], int]


class ParameterSplit(NamedTuple):
    """Numbers of parameters; each includes the next."""

    instantiated: int
    trained: int
    encode: int


def split_parameters(network: nn.Module, encoder: nn.Module, frames: int, dimensions: int) -> ParameterSplit:
    """Count the parameters of `network`, those used by its forward pass, and those used by encoding.

    `encoder` is the part that encodes, or the network itself. If the network cannot be called on videos (n, T, D)
    alone, all its parameters count as used in training.
    """
    videos = torch.randn(2, frames, dimensions, generator=torch.Generator().manual_seed(0))
    instantiated = parameter_count(network)
    encode = _total(parameters_read(encoder, videos))
    try:
        trained = _total(parameters_read(network, videos))
    except Exception:  # a network whose forward pass needs more than videos may fail in any way
        trained = instantiated
    # The encoder's parameters were learned, even if the forward pass of training does not use them.
    return ParameterSplit(max(instantiated, encode), max(trained, encode), encode)


def parameter_count(module: nn.Module) -> int:
    """Number of learned parameters; batch statistics and fixed tables do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


def parameters_read(module: nn.Module, videos: Tensor) -> list[nn.Parameter]:
    """The parameters that the module's forward pass on videos (n, T, D) gives to any torch function, each once."""
    watch = _Watch(module.parameters())
    device = next((parameter.device for parameter in module.parameters()), videos.device)
    with torch.no_grad(), watch:
        module(videos.to(device))
    return [watch.known[number] for number in watch.seen]


def flops(module: nn.Module, frames: int, dimensions: int) -> tuple[int, dict[str, int]]:
    """Multiply-adds of encoding one video of T frames and D features, as fvcore counts them.

    Also returns the operators that fvcore cannot count, with their number of calls. Modules that count themselves
    (`counted_by_hand`) are taken at their word.
    """
    by_hand = counted_by_hand(module, frames, dimensions)
    traced = analysis(module, frames, dimensions)
    with warnings.catch_warnings():
        # fvcore traces the module; the tracer's warnings about constants do not affect the count.
        warnings.simplefilter("ignore")
        total = int(traced.total()) + sum(count - int(traced.total(name)) for name, count in by_hand.items())
        operators = traced.unsupported_ops()
        for name in by_hand:
            operators = operators - traced.unsupported_ops(name)
        uncounted = {name.removeprefix("aten::"): int(calls) for name, calls in operators.items()}
    return total, dict(sorted(uncounted.items()))


def counted_by_hand(module: nn.Module, frames: int, dimensions: int) -> dict[str, int]:
    """Multiply-adds of one video in the submodules with a method `multiply_adds`, which gets the inputs of `forward`.

    For what fvcore cannot see, such as a recurrence that is no product of matrices.
    """
    found: Counter[str] = Counter()

    def counting(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def count(part: Any, inputs: tuple[Any, ...]) -> None:
            found[name] += int(part.multiply_adds(*inputs))

        return count

    hooks = [
        part.register_forward_pre_hook(counting(name))
        for name, part in module.named_modules()
        if callable(getattr(part, "multiply_adds", None))
    ]
    if hooks:
        device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))
        with torch.no_grad():
            module(torch.zeros(1, frames, dimensions, device=device))
    for hook in hooks:
        hook.remove()
    return dict(found)


def flops_by_module(module: nn.Module, frames: int, dimensions: int) -> dict[str, int]:
    """Multiply-adds of one video by submodule, as in `flops`, including those of its own parts; without zeros."""
    traced = analysis(module, frames, dimensions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counts = traced.by_module()
    missed = {name: count - counts[name] for name, count in counted_by_hand(module, frames, dimensions).items()}
    for name, count in missed.items():
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            counts[".".join(parts[:end])] += count
    return {str(name): int(count) for name, count in sorted(counts.items()) if name and count}


def analysis(module: nn.Module, frames: int, dimensions: int) -> Any:
    """fvcore's analysis of encoding one video, to which handles can be added before it runs."""
    device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))
    traced: Any = FlopCountAnalysis(module, torch.zeros(1, frames, dimensions, device=device))
    traced.set_op_handle(**{f"aten::{name}": _recurrent for name in RECURRENT})
    return traced.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")


def other_operations(module: nn.Module, frames: int, dimensions: int) -> dict[str, int]:
    """Operations of one video by operator, for operators with a known formula that fvcore ignores."""
    handles = _handles()
    traced = analysis(module, frames, dimensions).set_op_handle(**handles)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # fvcore's results use the operator's name without its library.
        counts: Counter[str] = Counter()
        for name, count in traced.by_operator().items():
            if f"aten::{name}" in handles and count:
                counts[plain(name)] += int(count)
    return dict(sorted(counts.items()))


def _recurrent(inputs: list[Any], _outputs: list[Any]) -> int:
    """The matrix products of a recurrent layer: each weight once per step, as in a linear layer; no biases or gates.

    The operator takes (steps, batch, features), or (total steps, features) of packed sequences, and a list of the
    weights of all layers and directions: matrices for inputs, states and, in projected LSTMs, outputs.
    """
    *steps, _ = get_shape(inputs[0])
    lists = [value.node() for value in inputs if value.node().kind() == "prim::ListConstruct"]
    shapes = [get_shape(value) for node in lists for value in node.inputs()]
    return math.prod(steps) * sum(math.prod(shape) for shape in shapes if shape is not None and len(shape) == 2)


def _handles() -> dict[str, Handle]:
    handles: dict[str, Handle] = {}
    for name in ELEMENTWISE:
        handles[f"aten::{name}"] = handles[f"aten::{name}_"] = _elementwise
    for name, operations in REDUCTIONS.items():
        handles[f"aten::{name}"] = _reduction(operations)
    for name in SOFTMAXES:
        handles[f"aten::{name}"] = _reduction(SOFTMAX)
    for name in POOLING:
        handles[f"aten::{name}"] = _pooling
    for name in ADAPTIVE:
        handles[f"aten::{name}"] = _adaptive_pooling
    handles["aten::scaled_dot_product_attention"] = _attention
    return handles


def _elements(value: Any) -> int:
    """Number of elements of a tensor in the trace; 0 for other values, such as arithmetic on shapes."""
    shape = get_shape(value)
    return math.prod(shape) if shape is not None else 0


def _elementwise(_inputs: list[Any], outputs: list[Any]) -> int:
    # In the trace, arithmetic on shapes appears as tensors without axes.
    return _elements(outputs[0]) if get_shape(outputs[0]) else 0


def _reduction(operations: int) -> Handle:
    return lambda inputs, _outputs: operations * _elements(inputs[0])


def _pooling(inputs: list[Any], outputs: list[Any]) -> int:
    window = [int(size) for size in inputs[1].toIValue()]
    return math.prod(window) * _elements(outputs[0])


def _adaptive_pooling(inputs: list[Any], outputs: list[Any]) -> int:
    (*others, size), pooled = get_shape(inputs[0]), get_shape(outputs[0])[-1]
    # torch defines window i as floor(i·n/m) to ceil((i + 1)·n/m).
    windows = sum(-(-(place + 1) * size // pooled) - place * size // pooled for place in range(pooled))
    return math.prod(others) * windows


def _attention(inputs: list[Any], _outputs: list[Any]) -> int:
    query, key, value = (get_shape(tensor) for tensor in inputs[:3])
    scores = math.prod(query[:-1]) * key[-2]
    return scores * (query[-1] + value[-1] + SOFTMAX)


class _Watch(TorchFunctionMode):
    """Records which of the known parameters are arguments of a torch function."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.known = {id(parameter): parameter for parameter in parameters}
        self.seen: dict[int, None] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._note((args, tuple((kwargs or {}).values())))
        return func(*args, **(kwargs or {}))

    def _note(self, value: Any) -> None:
        if isinstance(value, tuple | list):
            for entry in value:
                self._note(entry)
        elif id(value) in self.known:
            self.seen[id(value)] = None


def _total(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
