"""Encoders as ONNX files, for use without torch; needs the extra `onnx` (onnx and onnxruntime)."""

import io
import json
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.atomic import write_file
from bench.base.errors import InputError
from bench.encoding.modules import EncoderDescription, Forward, inference_module

OPSET = 20
"""The newest that PyTorch's exporter writes without further packages; it has GELU as one operator."""
PRODUCER = "vhbench"
CONVENTION = "codes: int8 in -1, +1; +1 where relaxed >= 0"


class WithCodes(nn.Module):
    """A network with codes as an additional output: features → (codes (n, K) int8 in ±1, relaxed outputs (n, K))."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        relaxed = self.network(features)
        # Through float: ONNX Runtime has no `Where` for int8.
        return torch.where(relaxed >= 0, 1.0, -1.0).to(torch.int8), relaxed


def export(module: nn.Module, description: EncoderDescription, path: Path) -> None:
    """Write an encoder as an ONNX file: input `features` (videos, T, D) float32; outputs `codes` and `relaxed`.

    The file's metadata hold method, bits, frames, dimensions, parameters (JSON) and convention. Raises InputError if
    `path` does not end in .onnx or cannot be written, the extra is missing or the method cannot be exported.
    """
    if path.suffix != ".onnx":
        raise InputError(f"{path}: encoders are exported as ONNX; name a file that ends in .onnx")
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise InputError(f"{path}: is a folder, or its folder does not exist; name a file in an existing folder")
    content = onnx_bytes(module, description.method, (description.frames, description.dimensions))
    onnx: Any = import_module("onnx")
    if path.exists() and not _is_ours(path):
        raise InputError(f"{path}: is no encoder exported by vhbench, and would be overwritten; name another file")
    model = onnx.load_model_from_string(content)
    model.producer_name, model.graph.name = PRODUCER, f"{description.method}-{description.bits}"
    stored = description.model_dump(mode="json")
    properties = {name: str(stored[name]) for name in ("method", "bits", "frames", "dimensions")}
    properties |= {"parameters": json.dumps(stored["parameters"], sort_keys=True), "convention": CONVENTION}
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    # Where a link leads, so that the link stays.
    target = path.resolve()
    try:
        write_file(target, model.SerializeToString())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); name another file") from error


def _is_ours(path: Path) -> bool:
    onnx: Any = import_module("onnx")
    try:
        return bool(onnx.load(path, load_external_data=False).producer_name == PRODUCER)
    except Exception:  # its reader raises anything from bytes that are no ONNX file
        return False


def onnx_bytes(module: nn.Module, method: str, shape: tuple[int, int]) -> bytes:
    """The ONNX model of an encoder's module for videos of `shape` (T, D). InputError if it cannot be exported."""
    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise InputError(f"ONNX needs the package {package}, which is not installed: pip install 'vhbench[onnx]'")
    network = inference_module(module)
    tensors = [*network.parameters(), *network.buffers()]
    example = torch.zeros(2, *shape, device=tensors[0].device if tensors else None)
    # Any, since the annotation of `export` leaves out the files that its documentation allows.
    file: Any = io.BytesIO()
    try:
        # The tracer warns of constants that do not concern users, and of its deprecation.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                WithCodes(network).eval(),
                (example,),
                file,
                # The newer exporter needs one more package, and gives the same graph.
                dynamo=False,
                opset_version=OPSET,
                input_names=["features"],
                output_names=["codes", "relaxed"],
                dynamic_axes={name: {0: "videos"} for name in ("features", "codes", "relaxed")},
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{method} cannot be exported to ONNX ({reason}); use backend eager") from error
    return file.getvalue()


def onnx_session(content: bytes) -> Forward:
    """Relaxed outputs by ONNX Runtime, on as many threads as torch uses."""
    onnxruntime: Any = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Waiting threads that spin starve the thread that reads features.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def forward(block: NDArray[np.float32]) -> NDArray[np.float32]:
        relaxed: NDArray[np.float32] = session.run(["relaxed"], {"features": block})[0]
        return relaxed

    return forward
