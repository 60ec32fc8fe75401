"""What conversions cost a training step in bfloat16, estimated: `python -m tests.benchmarks.bfloat16_casts`.

Operators of a step are counted on the processor, at two small batches, and extrapolated to 256 items; what does not
grow with the batch is of weights. A kernel in a replayed graph of an H100 is taken to last as long as its bytes, its
products or its launch, whichever is longest. Where CUDA's autocast converts more, and has fewer operators for dropout,
this is not counted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from bench.methods.bth import Bth, BthParameters
from bench.methods.mcmsh import Mcmsh, McmshParameters
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.data.features import ArrayFeatures
from bench.learning.context import FitContext
from bench.learning.deep_method import DeepMethod
from bench.learning.loader import VideoLoader
from bench.learning.loop import Training
from bench.learning.schedule import Schedule

FRAMES, DIMENSIONS, BITS, BATCH = 25, 4096, 64, 256
SMALL = (4, 8)
LAUNCH, BYTES, PRODUCTS = 2.5e-6, 3.35e12, 990e12
"""Seconds a kernel, bytes and floating-point operations (dense, bfloat16) a second."""


@dataclass(frozen=True)
class Kernel:
    """One operator that computes: bytes read and written, operations of products, the type it converts to, if any."""

    moved: float
    operations: float
    converts: torch.dtype | None

    @property
    def seconds(self) -> float:
        return max(LAUNCH, self.moved / BYTES, self.operations / PRODUCTS)


class Kernels(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the operators that compute."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.all: list[Kernel] = []

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = operator(*args, **(kwargs or {}))
        into = [value for value in tree_leaves(given) if isinstance(value, Tensor)]
        read = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        memory = {value.untyped_storage().data_ptr() for value in read}
        if any(value.untyped_storage().data_ptr() not in memory for value in into) or operator._schema.is_mutable:
            products = operator.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm)
            # The inner length of a product is that of the rows of its last but one operand.
            operations = 2 * into[0].numel() * read[-2].shape[-1] if products else 0
            converts = operator is torch.ops.aten._to_copy.default and read[0].dtype != into[0].dtype
            moved = sum(value.nbytes for value in (*read, *into))
            self.all.append(Kernel(moved, operations, into[0].dtype if converts else None))
        return given


def step(method: DeepMethod, batch: int) -> list[Kernel]:
    """The operators of a step in bfloat16."""
    context = FitContext(0)
    features = ArrayFeatures(np.random.default_rng(0).standard_normal((64, FRAMES, DIMENSIONS), np.float32))
    network = method.network(FRAMES, DIMENSIONS).train()
    objective, videos = method.objective(network, features, context), np.arange(len(features))
    schedule = Schedule.model_validate({"precision": "bfloat16"})
    draw = objective.draw(videos[:batch], videos, context.random("items"))
    training = Training(network, objective, schedule, context, "step")
    loaded = VideoLoader(features, schedule, context).load(draw)
    with Kernels() as kernels:
        training._step(objective, 0, loaded)
    return kernels.all


def main() -> None:
    """Print a row for each method."""
    print("| a step of | weights | ms | their gradients | ms | other conversions | ms | all kernels | ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    for method in (Mcmsh(BITS, McmshParameters(anchors=4)), Bth(BITS, BthParameters(anchors=4, epochs=1))):
        weights, gradients, others, everything = [list[Kernel]() for _ in range(4)]
        for less, more in zip(*(step(method, batch) for batch in SMALL), strict=True):
            times = (BATCH - SMALL[0]) / (SMALL[1] - SMALL[0])
            moved = less.moved + times * (more.moved - less.moved)
            operations = less.operations + times * (more.operations - less.operations)
            kernel = Kernel(moved, operations, less.converts)
            everything.append(kernel)
            if kernel.converts:
                of_weights = weights if kernel.converts == torch.bfloat16 else gradients
                (of_weights if more.moved == less.moved else others).append(kernel)
        columns = [
            f"{len(part)} | {1e3 * sum(kernel.seconds for kernel in part):.3g}"
            for part in (weights, gradients, others, everything)
        ]
        print(f"| {method.title} | {' | '.join(columns)} |")


if __name__ == "__main__":
    main()
