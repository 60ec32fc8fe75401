"""Multiply-adds of an encoder, exactly as fvcore counts them."""

import warnings
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn


def parameter_count(module: nn.Module) -> int:
    """Numbers learned by fitting and stored in the module; batch statistics and fixed tables do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


def flops(module: nn.Module, frames: int, dimensions: int) -> tuple[int, dict[str, int]]:
    """Multiply-adds of encoding one video of T frames and D features, as fvcore counts them.

    Also the operators that fvcore has no count for, with their number of calls.
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
    return traced.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
