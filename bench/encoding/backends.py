"""Encoding backends: eager, compiled or ONNX Runtime, in float32 or bfloat16, block by block."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.errors import InputError
from bench.base.process_state import own_process_state, require_usable
from bench.base.processes import threads
from bench.base.text import closest
from bench.data.features import BLOCK_BYTES, Features
from bench.encoding.modules import Forward, HasInferenceModule, inference_module
from bench.encoding.onnx_file import onnx_bytes, onnx_session
from bench.encoding.replayed import replayed

BACKENDS = ("eager", "compiled", "onnx")
PRECISIONS = ("float32", "bfloat16")
CHUNK = 64
"""Videos per forward pass: enough for fast products, few enough for the processor's cache."""


def prepare(module: nn.Module, method: str, shape: tuple[int, int], backend: str, precision: str) -> Forward:
    """Make a module of `method` for videos of `shape` (T, D) ready to run.

    Raises InputError for an unknown backend or precision, a backend that cannot run here or cannot run this method.
    """
    check_choice("backend", backend, BACKENDS)
    check_choice("precision", precision, PRECISIONS)
    if precision == "bfloat16" and backend == "onnx":
        raise InputError("precision bfloat16: backend onnx encodes in float32; use backend eager or compiled")
    if precision == "bfloat16" and not isinstance(module, HasInferenceModule):
        raise InputError(f"precision bfloat16: {method} encodes in float32 only")
    if backend == "onnx":
        with own_process_state():
            return onnx_session(onnx_bytes(module, method, shape))
    dtype = getattr(torch, precision)
    network = inference_module(module).to(dtype) if precision == "bfloat16" else inference_module(module)
    if backend == "compiled":
        return _Compiled(network, method, shape, dtype)
    return _Eager(network, dtype)


def check_choice(what: str, given: str, known: tuple[str, ...]) -> None:
    """InputError if `given` is not one of the known names."""
    if given not in known:
        raise InputError(f"unknown {what} '{given}': {closest(str(given), known)}")


class _Eager:
    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        self._dtype = dtype
        tensors = [*network.parameters(), *network.buffers()]
        self._device = tensors[0].device if tensors else torch.device("cpu")
        if self._device.type == "cuda":
            require_usable()
        self._outputs = replayed(network, self._device)

    def __call__(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=False):
            videos = torch.from_numpy(block)
            if self._device.type == "cuda":
                # A GPU copies faster, and asynchronously, from pinned memory, which PyTorch reuses.
                videos = videos.pin_memory().to(self._device, non_blocking=True)
            return self._run(videos.to(self._device, self._dtype)).float().cpu().numpy()

    def _run(self, videos: Tensor) -> Tensor:
        return self._outputs(videos)


class _Compiled(_Eager):
    """Compiled for one video and for `CHUNK`; other numbers are padded, since each would be compiled again."""

    def __init__(self, network: nn.Module, method: str, shape: tuple[int, int], dtype: torch.dtype) -> None:
        super().__init__(network, dtype)
        if not all(getattr(part, "compilable", True) for part in network.modules()):
            raise InputError(f"backend compiled: {method} runs its steps in a compiled loop already; use backend eager")
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
            # It may compile, also again after changed settings, which resets PyTorch's random stream.
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


class OutputError(RuntimeError):
    """An output of a network that is no code, and no vector."""


def block_size(shape: tuple[int, int, int]) -> int:
    """Videos a block for features of this shape (N, T, D): whole chunks, of about `BLOCK_BYTES`."""
    _, frames, dimensions = shape
    return CHUNK * max(1, BLOCK_BYTES // max(1, 4 * CHUNK * frames * dimensions))


def encoded_blocks(
    forward: Forward, features: Features, width: int | None, method: str, first: int = 0
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(first video, outputs (n, width)) of the videos from `first` on, which must be a multiple of `CHUNK`.

    Chunks start at multiples of `CHUNK` wherever one starts, so the outputs do not depend on it. Raises InputError if a
    feature is NaN or infinite, OutputError if the network's outputs are, or have another shape than (n, width); a
    `width` of None leaves that open.
    """
    size = block_size(features.shape)
    starts = range(first, len(features), size)
    with threads(1) as reader:
        ahead = None
        for start in starts:
            block = (ahead or reader.submit(_read, features, start, size)).result()
            ahead = reader.submit(_read, features, start + size, size) if start + size < len(features) else None
            outputs = np.concatenate([forward(block[at : at + CHUNK]) for at in range(0, len(block), CHUNK)])
            expected = (len(block), outputs.shape[-1] if width is None else width)
            if outputs.shape != expected:
                raise OutputError(
                    f"{method} gave outputs of shape {outputs.shape} for {len(block)} videos; expected {expected}"
                )
            if not np.isfinite(outputs).all():
                raise OutputError(f"{method} gave NaN or infinite outputs")
            yield start, outputs


def _read(features: Features, start: int, size: int) -> NDArray[np.float32]:
    block = features[start : min(start + size, len(features))]
    # One pass: NaN and infinity reach the sum. A sum may also overflow, hence the check of every value.
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(block.sum())
    if suspicious and not (finite := np.isfinite(block).all(axis=(1, 2))).all():
        raise InputError(f"features of video {start + int(np.argmin(finite))}: NaN or infinite values")
    return block
