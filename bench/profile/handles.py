"""Operators that fvcore leaves out and whose work is known, counted in operations and kept apart from its figure.

Rules, for n elements: an elementwise function, whatever it is, takes 1 operation an element of its result; a sum, mean
or largest value 1 an element of its input; variance, standard deviation and 2-norm as written out; softmax 5 an element
(largest value, subtraction, exponential, sum, division); pooling 1 an element under its window. Attention that torch
offers as one operator counts as the two products and the softmax that it is.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

from fvcore.nn.jit_handles import get_shape
from torch import nn

from bench.profile.complexity import analysis
from bench.profile.operators import ADAPTIVE, ELEMENTWISE, POOLING, REDUCTIONS, SOFTMAXES, plain

Handle = Callable[[list[Any], list[Any]], int]

SOFTMAX = 5


def other_operations(module: nn.Module, frames: int, dimensions: int) -> dict[str, int]:
    """Operations of one video in operators that fvcore does not count and whose formula is known, by operator."""
    handles = _handles()
    traced = analysis(module, frames, dimensions).set_op_handle(**handles)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # fvcore groups what it counts by the operator's name without its library.
        counts: Counter[str] = Counter()
        for name, count in traced.by_operator().items():
            if f"aten::{name}" in handles and count:
                counts[plain(name)] += int(count)
    return dict(sorted(counts.items()))


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
    """Elements of a tensor in the trace; 0 for what is no tensor, such as arithmetic on shapes."""
    shape = get_shape(value)
    return math.prod(shape) if shape is not None else 0


def _elementwise(_inputs: list[Any], outputs: list[Any]) -> int:
    # Arithmetic on shapes stands in the trace as tensors without axes.
    return _elements(outputs[0]) if get_shape(outputs[0]) else 0


def _reduction(operations: int) -> Handle:
    return lambda inputs, _outputs: operations * _elements(inputs[0])


def _pooling(inputs: list[Any], outputs: list[Any]) -> int:
    window = [int(size) for size in inputs[1].toIValue()]
    return math.prod(window) * _elements(outputs[0])


def _adaptive_pooling(inputs: list[Any], outputs: list[Any]) -> int:
    (*others, size), pooled = get_shape(inputs[0]), get_shape(outputs[0])[-1]
    # Window i reaches from floor(i·n/m) to ceil((i + 1)·n/m), as torch defines it.
    windows = sum(-(-(place + 1) * size // pooled) - place * size // pooled for place in range(pooled))
    return math.prod(others) * windows


def _attention(inputs: list[Any], _outputs: list[Any]) -> int:
    query, key, value = (get_shape(tensor) for tensor in inputs[:3])
    scores = math.prod(query[:-1]) * key[-2]
    return scores * (query[-1] + value[-1] + SOFTMAX)
