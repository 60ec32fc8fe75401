"""Encoders: the result of fitting, saved without pickle."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from bench.base.atomic import new_file
from bench.base.errors import InputError
from bench.base.files import require_file, unreadable
from bench.base.process_state import own_process_state
from bench.base.text import one_line, validation_message
from bench.base.values import as_path
from bench.data.features import Features, as_features
from bench.encoding.backends import encoded_blocks, prepare
from bench.encoding.modules import EncoderDescription, Forward, QueryForm
from bench.encoding.onnx_file import export
from bench.learning.method import Method, VectorEncoder
from bench.registry import Registry, load_registry

DESCRIPTION, WEIGHTS = "encoder.json", "encoder.safetensors"
LARGE = 2**26
"""Numbers in a matrix of 256 MB."""
Plugin = Path | str | type[Method]
"""A file with methods, or the class of one."""
LONGEST_HEADER = 2**20
"""Bytes before the weights in their file."""


@dataclass(frozen=True)
class Encoder:
    """A fitted encoder from features (n, T, D) to codes (n, K), or to a reference's vectors (n, m)."""

    description: EncoderDescription
    module: nn.Module
    history: list[dict[str, float]] = field(default_factory=list)
    """Training losses, one row per epoch; empty for methods without epochs."""
    _forwards: dict[tuple[str, str, str, int], Forward] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __getstate__(self) -> dict[str, Any]:
        # Compiled and opened forms belong to this process; a copy makes its own.
        return {**vars(self), "_forwards": {}}

    @property
    def device(self) -> torch.device:
        """The device of the module's weights."""
        tensors = [*self.module.parameters(), *self.module.buffers()]
        return tensors[0].device if tensors else torch.device("cpu")

    def encode(
        self, features: Features | ArrayLike, backend: str = "eager", precision: str = "float32"
    ) -> NDArray[np.int8]:
        """Codes (n, K) int8 in {−1, +1} of features (n, T, D); a relaxed output of exactly 0 counts as +1.

        Features are numbers of any real type, in an array, tensor or list, and count as float32. May be called from
        several threads at once.

        `backend` is `eager`, `compiled` (PyTorch's compiler, which needs a C++ compiler) or `onnx` (ONNX Runtime, on
        the CPU); `precision` is `float32` or, faster on processors that have it, `bfloat16`, which flips a few bits.
        Raises InputError if T or D is not what the encoder was fitted on, a feature is NaN or infinite, or the backend
        cannot run here.
        """
        self.require_codes()
        videos = self._videos(features)
        codes = np.empty((len(videos), self.description.bits), dtype=np.int8)
        for start, block in self.encode_blocks(videos, backend, precision):
            codes[start : start + len(block)] = block
        return codes

    def encode_blocks(
        self, videos: Features, backend: str, precision: str, first: int = 0
    ) -> Iterator[tuple[int, NDArray[np.int8]]]:
        """(first video, codes) block by block, from video `first` on; see `bench.encoding.backends.encoded_blocks`."""
        forward = self.forward(backend, precision)
        blocks = encoded_blocks(forward, videos, self.description.bits, self.description.method, first)
        return ((start, np.where(relaxed >= 0, 1, -1).astype(np.int8)) for start, relaxed in blocks)

    def relaxed(self, features: Features | ArrayLike) -> NDArray[np.float32]:
        """Relaxed outputs (n, K) of features (n, T, D), whose signs are the codes. Raises InputError as `encode`."""
        self.require_codes()
        return self._outputs(self.forward(), features, self.description.bits)

    def vectors(self, features: Features | ArrayLike, as_queries: bool) -> NDArray[np.float32]:
        """A reference's vectors (n, m) of features (n, T, D), as queries or as gallery items: inner products rank.

        Raises InputError as `encode` does, and if the method is a hash.
        """
        if not isinstance(self.module, VectorEncoder):
            raise InputError(f"{self.description.method} is a hash and has no vectors; use encode, or relaxed")
        module = QueryForm(self.module).eval() if as_queries else self.module
        return self._outputs(prepare(module, self.description.method, (0, 0), "eager", "float32"), features, None)

    def require_codes(self) -> None:
        """InputError if the method is a reference."""
        if isinstance(self.module, VectorEncoder):
            raise InputError(f"{self.description.method} is no hash and has no codes; it ranks by Encoder.vectors")

    def _outputs(self, forward: Forward, features: Features | ArrayLike, width: int | None) -> NDArray[np.float32]:
        blocks = encoded_blocks(forward, self._videos(features), width, self.description.method)
        found = [block for _, block in blocks]
        return np.concatenate(found) if found else np.empty((0, width or 0), dtype=np.float32)

    def _videos(self, features: Features | ArrayLike) -> Features:
        videos = as_features(features, "features", pooled=self.description.frames == 1)
        self.require_shape(videos)
        return videos

    def forward(self, backend: str = "eager", precision: str = "float32") -> Forward:
        """A function from features (n, T, D), 1 ≤ n ≤ 64, to relaxed outputs (n, K), as numpy float32 arrays.

        It is made at the first call from the current weights, and kept. Raises InputError as `encode` does.
        """
        # A forked process lacks the threads that a backend has started.
        key = (backend, precision, str(self.device), os.getpid())
        if key not in self._forwards:
            description = self.description
            shape = (description.frames, description.dimensions)
            self._forwards[key] = prepare(self.module, description.method, shape, backend, precision)
        return self._forwards[key]

    def require_shape(self, videos: Features) -> None:
        """InputError if T or D is not what the encoder was fitted on."""
        given, expected = videos.shape[1:], (self.description.frames, self.description.dimensions)
        if given != expected:
            raise InputError(
                f"features have (frames, dimensions) = {given}; this {self.description.method} encoder "
                f"was fitted on {expected}"
            )

    def export(self, path: Path | str) -> None:
        """Write the encoder as an ONNX file; see `bench.encoding.onnx_file.export`."""
        self.require_codes()
        export(self.module, self.description, as_path(path, "path"))

    def save(self, folder: Path | str) -> None:
        """Write `encoder.json` and `encoder.safetensors` into `folder`, replacing those of an encoder that is there.

        Other files in the folder stay as they are. Raises InputError if files of those names are no encoder's.
        """
        target = as_path(folder, "folder")
        _require_replaceable(target)
        target.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.module.state_dict().items()}
        description = json.dumps(self.description.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"
        # Not by `save_file`, whose files only their owner may read.
        weights = save(tensors)
        with new_file(target / DESCRIPTION) as described, new_file(target / WEIGHTS) as weighed:
            described.write_bytes(description.encode())
            weighed.write_bytes(weights)
            # The weights are replaced first: a process that dies now leaves no description, rather than that of
            # other weights.
            (target / DESCRIPTION).unlink(missing_ok=True)


def _require_replaceable(folder: Path) -> None:
    """InputError if `folder` is a file, or holds files of an encoder's names that are none."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name a folder")
    for name in (DESCRIPTION, WEIGHTS):
        if os.path.lexists(folder / name):
            try:
                EncoderDescription.model_validate_json((folder / DESCRIPTION).read_bytes())
            except (OSError, ValidationError) as error:
                raise InputError(
                    f"{folder / name}: would be replaced, and is no part of an encoder; name another folder"
                ) from error


def load_encoder(folder: Path | str, plugins: Plugin | Iterable[Plugin] = ()) -> Encoder:
    """The encoder saved in `folder`; `plugins` are files or classes of further methods.

    Raises InputError if it is damaged or its method is not known here.
    """
    source = as_path(folder, "folder")
    if isinstance(plugins, str | Path | type):
        plugins = [plugins]
    named = [plugin if isinstance(plugin, type) else as_path(plugin, "plugins") for plugin in plugins]
    return read_encoder(source, load_registry(named))


def encoder_digest(folder: Path) -> str:
    """The SHA-256 of a saved encoder's description and weights."""
    digest = hashlib.sha256()
    for name in (DESCRIPTION, WEIGHTS):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def read_encoder(source: Path, registry: Registry) -> Encoder:
    """The encoder saved in a folder, of one of the registry's methods. Raises InputError as `load_encoder` does."""
    for path in (source / DESCRIPTION, source / WEIGHTS):
        if not os.path.lexists(path):
            within = next((found.parent for found in sorted(source.glob(f"*/{DESCRIPTION}"))), None)
            named = f"name {within}" if within else "name a folder that has one"
            raise InputError(f"{source}: holds no encoder (no file {path.name}); {named}")
        require_file(path, "fit or copy the encoder again")
    try:
        description = EncoderDescription.model_validate_json((source / DESCRIPTION).read_bytes())
    except ValidationError as error:
        raise InputError(f"{source / DESCRIPTION}: {validation_message(error)}") from error
    method_class = registry.method(description.method, option="--plugin FILE, from Python plugins=[FILE]")
    try:
        parameters = method_class.Parameters.model_validate(description.parameters)
    except ValidationError as error:
        raise InputError(f"{source / DESCRIPTION}: parameters: {validation_message(error)}") from error
    method, size = method_class(description.bits, parameters), (source / WEIGHTS).stat().st_size
    try:
        # Building draws random weights, which those of the file replace.
        with own_process_state():
            if _may_be_large(description):
                # Shapes alone, before memory is allocated for sizes that only the description claims.
                with torch.device("meta"):
                    _require_size(method.build(description.frames, description.dimensions), size, source)
            module = method.build(description.frames, description.dimensions)
        _require_size(module, size, source)
        tensors = load_file(source / WEIGHTS)
        module.load_state_dict(tensors)
    except OSError as error:
        raise unreadable(source / WEIGHTS, error) from error
    except SafetensorError as error:
        raise InputError(
            f"{source / WEIGHTS}: damaged ({one_line(str(error))}); fit or copy the encoder again"
        ) from error
    except RuntimeError as error:
        raise InputError(f"{source / WEIGHTS}: {one_line(str(error))}; fit or copy the encoder again") from error
    for name, tensor in tensors.items():
        if tensor.dtype != module.state_dict()[name].dtype:
            raise InputError(f"{source / WEIGHTS}: '{name}' holds {tensor.dtype}; fit or copy the encoder again")
        if not torch.isfinite(tensor).all():
            raise InputError(f"{source / WEIGHTS}: '{name}' has NaN or infinite values; fit or copy the encoder again")
    return Encoder(description, module.eval())


def _may_be_large(description: EncoderDescription) -> bool:
    """Whether a square matrix of the largest number in the description would be large."""
    return max(_whole_numbers(description.model_dump())) ** 2 > LARGE


def _whole_numbers(value: Any) -> Iterator[int]:
    if isinstance(value, int):
        yield abs(value)
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _whole_numbers(part)


def _require_size(module: nn.Module, size: int, source: Path) -> None:
    """InputError unless a file of `size` bytes can hold the module's weights, and little more."""
    needed = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    if not needed <= size <= needed + LONGEST_HEADER:
        raise InputError(
            f"{source / WEIGHTS}: has {size:,} bytes, but the encoder that {DESCRIPTION} describes has weights of "
            f"{needed:,}; fit or copy the encoder again"
        )
