"""CUDA graphs: work on a GPU that is captured once and launched as one, instead of kernel by kernel."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from threading import Lock
from typing import Any

import torch
from torch import Tensor

Work = Callable[[], dict[str, Tensor]]


def capture_graph(
    work: Work, device: torch.device, *, draws: bool = True
) -> tuple[dict[str, Tensor], Callable[[], None]]:
    """What `work` returns, and a call that computes its values anew. Capturing computes and changes nothing there.

    `draws`: the work may draw random numbers; if not, it leaves the stream of a training in another thread alone.
    Raises RuntimeError where CUDA refuses, as it does if the host waits for the device.
    """
    graph, index = torch.cuda.CUDAGraph(), torch.cuda.current_device() if device.index is None else device.index
    with _capturing:
        generator = torch.cuda.default_generators[index]
        usual = generator.graphsafe_get_state()
        # A failure leaves the generator's state unusable: this is a copy of it.
        generator.graphsafe_set_state(generator.clone_state())
        torch.cuda.empty_cache()
        memory = torch.cuda.graph_pool_handle()
        try:
            with torch.cuda.stream(_stream(device)):
                # Other threads load batches meanwhile.
                graph.capture_begin(pool=memory, capture_error_mode="thread_local")
                try:
                    outputs = work()
                except BaseException:
                    with suppress(RuntimeError):
                        graph.capture_end()
                    raise
                graph.capture_end()
        except BaseException:
            generator.graphsafe_set_state(usual)
            _end_allocation(index, memory)
            graph.reset()
            _failed.append(graph)
            raise
        if not draws:
            generator.graphsafe_set_state(usual)
    return outputs, graph.replay


def _end_allocation(index: int, memory: Any) -> None:
    """End what a failed capture leaves open: the device's allocator would refuse to release any memory.

    That is what `empty_cache` does, and every allocation for which memory is short.
    """
    # RuntimeError: it is not open, since it failed at its end. AttributeError: PyTorch before 2.6 has another call.
    with suppress(RuntimeError, AttributeError):
        torch._C._cuda_endAllocateToPool(index, memory)
        torch._C._cuda_releasePool(index, memory)


CAPTURES = {"cuda": capture_graph}
"""What captures work, by the type of the device."""
_capturing = Lock()
_failed: list[torch.cuda.CUDAGraph] = []
"""Graphs whose capture failed. PyTorch's allocator of pinned memory goes on asking them which is theirs."""


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """One stream for all captures, since cuBLAS keeps memory for every stream."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
