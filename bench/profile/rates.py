"""How fast the machine is at the two things that encoding is made of: products of matrices, and moving memory."""

import torch
from torch import Tensor

from bench.profile.stopwatch import Stopwatch, Work
from bench.record import Rates

REPEATS = 5
COPIED_BYTES = 1 << 26
"""More than a processor's caches hold."""


def measure_rates(device: torch.device, stopwatch: Stopwatch) -> Rates:
    """The best of five repeats after a first one that is not counted, with as many threads as torch is set to."""
    size = 4096 if device.type == "cuda" else 1024
    with torch.inference_mode():
        source = torch.ones(COPIED_BYTES // 4, device=device)
        target = torch.empty_like(source)
        return Rates(
            float32=_product_rate(torch.ones(size, size, device=device), stopwatch),
            # Processors without bfloat16 units take a hundred times as long.
            bfloat16=_product_rate(torch.ones(size // 2, size // 2, device=device, dtype=torch.bfloat16), stopwatch),
            copy_bytes=2 * COPIED_BYTES / _best(lambda: target.copy_(source), stopwatch),
        )


def _product_rate(matrix: Tensor, stopwatch: Stopwatch) -> float:
    result = torch.empty_like(matrix)
    return len(matrix) ** 3 / _best(lambda: torch.mm(matrix, matrix, out=result), stopwatch)


def _best(work: Work, stopwatch: Stopwatch) -> float:
    stopwatch(work)
    return min(stopwatch(work) for _ in range(REPEATS))
