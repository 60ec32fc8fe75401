"""Ways to run an encoder's module: eager, compiled or through ONNX Runtime, in float32 or bfloat16."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.errors import InputError
from bench.inference.modules import HasInferenceModule, inference_module
from bench.process_state import own_process_state, require_usable
from bench.text import closest

Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Relaxed outputs (n, K) of features (n, T, D), 1 ≤ n ≤ CHUNK."""

BACKENDS = ("eager", "compiled", "onnx")
PRECISIONS = ("float32", "bfloat16")
CHUNK = 64
"""Videos that pass a network together: enough for fast products, few enough for the processor's cache."""


def prepare(module: nn.Module, method: str, shape: tuple[int, int], backend: str, precision: str) -> Forward:
    """Make a module of `method` for videos of `shape` (T, D) ready to run; where something is missing, this says so.

    Raises InputError for an unknown backend or precision, a backend that cannot run here or cannot run this method.
    """
    check_choice("backend", backend, BACKENDS)
    check_choice("precision", precision, PRECISIONS)
    if precision == "bfloat16" and backend == "onnx":
        raise InputError("precision bfloat16: backend onnx encodes in float32; use backend eager or compiled")
    if precision == "bfloat16" and not isinstance(module, HasInferenceModule):
        raise InputError(f"precision bfloat16: {method} encodes in float32 only")
    if backend == "onnx":
        from bench.inference.onnx_file import onnx_bytes, onnx_session  # noqa: PLC0415  an optional extra

        with own_process_state():
            return onnx_session(onnx_bytes(module, method, shape))
    dtype = getattr(torch, precision)
    network = inference_module(module).to(dtype) if precision == "bfloat16" else inference_module(module)
    if backend == "compiled":
        return _Compiled(network, method, shape, dtype)
    return _Eager(network, dtype)


def check_choice(what: str, given: str, known: tuple[str, ...]) -> None:
    """InputError if `given` is not one of the known words."""
    if given not in known:
        raise InputError(f"unknown {what} '{given}': {closest(str(given), known)}")


class _Eager:
    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        self._network, self._dtype = network, dtype
        tensors = [*network.parameters(), *network.buffers()]
        self._device = tensors[0].device if tensors else torch.device("cpu")
        if self._device.type == "cuda":
            require_usable()

    def __call__(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=False):
            videos = torch.from_numpy(block)
            if self._device.type == "cuda":
                # Pinned memory, which PyTorch keeps and uses again, is what a GPU copies from by itself, and faster.
                videos = videos.pin_memory().to(self._device, non_blocking=True)
            return self._run(videos.to(self._device, self._dtype)).float().cpu().numpy()

    def _run(self, videos: Tensor) -> Tensor:
        relaxed: Tensor = self._network(videos)
        return relaxed


class _Compiled(_Eager):
    """Compiled for one video and for `CHUNK`; other numbers are filled up, since each would be compiled anew."""

    def __init__(self, network: nn.Module, method: str, shape: tuple[int, int], dtype: torch.dtype) -> None:
        super().__init__(network, dtype)
        self._method, self._shape = method, shape
        # Freezing lets the compiler lay out the weights for its own products.
        options: dict[str, Any] = {"freezing": True}
        self._compiled = torch.compile(network, fullgraph=True, dynamic=False, options=options)
        # Compile before long work starts.
        self(np.zeros((CHUNK, *shape), dtype=np.float32))

    def _run(self, videos: Tensor) -> Tensor:
        count = len(videos)
        if 1 < count < CHUNK:
            videos = torch.cat([videos, videos.new_zeros(CHUNK - count, *self._shape)])
        try:
            # It may compile, which resets PyTorch's random stream, and does so anew where its settings have changed.
            with own_process_state(), torch.inference_mode():
                relaxed: Tensor = self._compiled(videos)
        except Exception as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
            raise InputError(
                f"backend compiled: {self._method} cannot be compiled here ({reason}); install a C++ compiler such as "
                f"g++, or use backend eager"
            ) from error
        return relaxed[:count]
