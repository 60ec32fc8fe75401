"""Parameters and FLOPs of an encoder."""

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
    device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))
    with warnings.catch_warnings():
        # fvcore traces the module; the tracer's remarks on constants do not concern the count.
        warnings.simplefilter("ignore")
        analysis: Any = FlopCountAnalysis(module, torch.zeros(1, frames, dimensions, device=device))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        total = int(analysis.total())
        uncounted = {name.removeprefix("aten::"): int(calls) for name, calls in analysis.unsupported_ops().items()}
    return total, dict(sorted(uncounted.items()))
