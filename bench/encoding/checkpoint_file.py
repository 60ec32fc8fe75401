"""Weights from files of `torch.save` or safetensors; nothing in them is executed or trusted for a size.

PyTorch's `weights_only` refuses code; but it inflates whatever an archive holds, and lets a file ask for a byte array
of any size. So archives and the names in their pickles are looked through before PyTorch reads them.
"""

import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch
from safetensors.torch import load_file
from torch import Tensor

from bench.base.errors import InputError
from bench.base.files import unusable
from bench.base.text import message_of

# All names that a state dict needs.
NAMES = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    # Of schedulers and settings that are saved beside it.
    "collections Counter",
    "torch Size",
    "torch device",
}
FIX = "save its state dict, and nothing else: torch.save(model.state_dict(), 'weights.pth')"
DEEPEST = 3
"""Depth of nested tables that are searched."""
OTHER_CALLS = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}
LARGEST_PICKLE = 2**24
# Before version 1.6 PyTorch wrote three pickles that describe the file before the one that matters.
OLD_PICKLES = 4


@dataclass(frozen=True)
class Table:
    """Tensors by name, as they lie somewhere in a file."""

    place: str
    """The Python expression for it within the file, such as `['model']`; empty for the whole content."""
    weights: dict[str, Tensor]


def read_tables(path: Path) -> list[Table]:
    """All tables of tensors in a file: a state dict, or those kept beside an epoch, an optimiser and the like.

    Raises InputError if there are none, or the file holds code or claims a larger size than its own.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            held: object = load_file(path)
        else:
            _look_through(path)
            held = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # the readers raise anything from bytes that are no checkpoint
        reason = f"no weights that can be read safely ({message_of(error)}); {FIX}"
        raise unusable(path, error, reason) from error
    tables = list(_tables(held, "", DEEPEST, set()))
    if not tables:
        raise InputError(f"{path}: holds no state dict (tensors by name); {FIX}")
    return tables


def _tables(held: object, place: str, depth: int, seen: set[int]) -> Iterator[Table]:
    """All tables in `held`, each visited once: a file may nest one many times."""
    if not isinstance(held, Mapping) or id(held) in seen:
        return
    seen.add(id(held))
    tensors = {str(name): value for name, value in held.items() if isinstance(value, Tensor)}
    if tensors:
        yield Table(place, tensors)
    for name, value in held.items() if depth else ():
        yield from _tables(value, f"{place}[{name!r}]", depth - 1, seen)


def require_sound(path: Path, weights: Mapping[str, Tensor]) -> None:
    """InputError unless these tensors of the file are dense, real, finite, and no larger than the file."""
    for name, value in weights.items():
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_complex():
            raise InputError(f"{path}: '{name}' is no plain tensor; save dense, real weights")
    # Tied weights are one tensor under several names.
    sizes = {(x.data_ptr(), x.shape, x.stride()): x.numel() * x.element_size() for x in weights.values()}
    if sum(sizes.values()) > path.stat().st_size:
        raise InputError(f"{path}: its weights are larger than the file; save copies of them, not views")
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise InputError(f"{path}: '{name}' has NaN or infinite values; use another checkpoint")


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
                f"{path}: no weights that can be read safely (it {called}, which dense weights do not need); {FIX}"
            )
