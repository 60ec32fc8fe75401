"""Weights out of a file that `torch.save` wrote. Nothing in it is executed, nor trusted for a size.

PyTorch's `weights_only` refuses code; but it inflates whatever an archive holds, and lets a file ask for a byte array
of any size. So archives and the names in their pickles are looked through before PyTorch reads them.
"""

import pickletools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from bench.errors import InputError
from bench.input_files import unusable
from bench.text import one_line

# All that a state dict is made of.
NAMES = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"}
OTHER_CALLS = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}
LARGEST_PICKLE = 2**24
# Before version 1.6 PyTorch wrote three pickles that describe the file before the one that matters.
OLD_PICKLES = 4


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict by name; InputError if the file is none, holds code, or claims more than it is."""
    try:
        _look_through(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # the readers raise anything from bytes that are no checkpoint
        said = one_line(str(error))[:120]
        reason = f"no weights that can be read safely ({said}); save its state dict, and nothing else, with torch.save"
        raise unusable(path, error, reason) from error
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(f"{path}: holds no state dict (tensors by name)")
    named = {str(name): value for name, value in weights.items()}
    for name, value in named.items():
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_complex():
            raise InputError(f"{path}: '{name}' is no plain tensor; save dense, real weights")
    if sum(value.numel() * value.element_size() for value in named.values()) > path.stat().st_size:
        raise InputError(f"{path}: its weights are larger than the file; save copies of them, not views")
    for name, value in named.items():
        if not torch.isfinite(value).all():
            raise InputError(f"{path}: '{name}' has NaN or infinite values; use another checkpoint")
    return named


def _look_through(path: Path) -> None:
    """InputError if the file would take more memory than its size, or call what a state dict does not need."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            for _ in range(OLD_PICKLES):
                _require_harmless(path, file)
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if not any(member.filename.endswith("data.pkl") for member in members):
            raise InputError(f"{path}: an archive, but none that torch.save wrote (an .npz?); name a checkpoint file")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise InputError(f"{path}: inflates to more than its size; save the weights again with torch.save")
        for member in members:
            if member.filename.endswith(".pkl"):
                if member.file_size > LARGEST_PICKLE:
                    raise InputError(f"{path}: describes its weights in {member.file_size:,} bytes; use another file")
                with archive.open(member) as file:
                    _require_harmless(path, file)


def _require_harmless(path: Path, file: IO[bytes]) -> None:
    for operation, argument, _ in pickletools.genops(file):
        name = str(argument)
        storage = name.startswith("torch ") and name.endswith("Storage")
        if operation.name in OTHER_CALLS or (operation.name == "GLOBAL" and name not in NAMES and not storage):
            called = f"calls {name}" if argument else "calls functions"
            raise InputError(
                f"{path}: no weights that can be read safely (it {called}); save its state dict, and nothing else, "
                "with torch.save"
            )
