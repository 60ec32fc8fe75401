"""How fast the machine is at the two things that encoding is made of: products of matrices, and moving memory."""

import torch
from torch import Tensor

from bench.profile.cost_types import Rates
from bench.profile.stopwatch import Stopwatch, Work

REPEATS = 5
SIZES = {"cpu": (1024, 512, 2**26), "cuda": (8192, 8192, 2**30)}
"""By kind of device: rows of the matrices in float32, in bfloat16, and bytes that are copied.

Processors without bfloat16 units take a hundred times as long, hence the smaller ones. The copied bytes are more than
caches hold. A GPU needs matrices of this size to be busy.
"""


def measure_rates(device: torch.device, stopwatch: Stopwatch) -> Rates:
    """The best of five repeats after a first one that is not counted, with as many threads as torch is set to."""
    rows, rough_rows, copied = SIZES[device.type]
    # GPUs multiply zeros and ones faster than numbers as they occur, since fewer bits change.
    random = torch.Generator(device).manual_seed(0)
    with torch.inference_mode():
        source = torch.rand(copied // 4, generator=random, device=device)
        target = torch.empty_like(source)
        return Rates(
            float32=_product_rate(torch.randn(rows, rows, generator=random, device=device), stopwatch),
            bfloat16=_product_rate(
                torch.randn(rough_rows, rough_rows, generator=random, device=device).bfloat16(), stopwatch
            ),
            copy_bytes=2 * copied / _best(lambda: target.copy_(source), stopwatch),
        )


def _product_rate(matrix: Tensor, stopwatch: Stopwatch) -> float:
    result = torch.empty_like(matrix)
    return len(matrix) ** 3 / _best(lambda: torch.mm(matrix, matrix, out=result), stopwatch)


def _best(work: Work, stopwatch: Stopwatch) -> float:
    stopwatch(work)
    return min(stopwatch(work) for _ in range(REPEATS))
