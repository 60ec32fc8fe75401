"""CUDA graphs: work on a GPU that is captured once and launched as one, instead of kernel by kernel."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from threading import Lock

import torch
from torch import Tensor

Work = Callable[[], dict[str, Tensor]]


def capture_graph(work: Work, device: torch.device) -> tuple[dict[str, Tensor], Callable[[], None]]:
    """What `work` returns, and a call that computes its values anew. Capturing computes and changes nothing there.

    Raises RuntimeError where CUDA refuses, as it does if the host waits for the device.
    """
    graph = torch.cuda.CUDAGraph()
    with _capturing:
        generator = torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]
        usual = generator.graphsafe_get_state()
        # A failure leaves the generator's state unusable: this is a copy of it.
        generator.graphsafe_set_state(generator.clone_state())
        torch.cuda.empty_cache()
        try:
            with torch.cuda.stream(_stream(device)):
                # Other threads load batches meanwhile.
                graph.capture_begin(capture_error_mode="thread_local")
                try:
                    outputs = work()
                except BaseException:
                    with suppress(RuntimeError):
                        graph.capture_end()
                    raise
                graph.capture_end()
        except BaseException:
            generator.graphsafe_set_state(usual)
            graph.reset()
            _failed.append(graph)
            raise
    return outputs, graph.replay


CAPTURES = {"cuda": capture_graph}
"""What captures work, by the type of the device."""
_capturing = Lock()
_failed: list[torch.cuda.CUDAGraph] = []
"""Graphs whose capture failed. PyTorch's allocator goes on asking them which memory is theirs."""


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """One stream for all captures, since cuBLAS keeps memory for every stream."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
