"""Files of codes: `.npy` with signs or packed bits, and a description beside, `<file>.json`, that every reader checks.

Packed bits do not say how they are packed, and codes of two bit orders compare without any error: so no packed file is
read without its description, and none is read with that of another file.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.base.atomic import write_file
from bench.base.errors import InputError
from bench.base.files import require_file
from bench.base.text import closest, contradiction, one_line, validation_message
from bench.metrics.codes import MAX_BITS, PackedCodes, packed_bytes, read_codes

Format = Literal["signs", "packed"]
BitOrder = Literal["little", "big"]
CHUNK = 2**16
"""Codes that are packed at a time."""
REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little"), axis=1)[:, 0]
"""Every byte with its bits in the other order."""
AGAIN = "write the codes again with bench encode"


class UsedEncoder(BaseModel):
    """The encoder that codes came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    """Where it was."""
    digest: str
    """The SHA-256 of its description and its weights."""


class Origin(BaseModel):
    """Where codes come from, and what is known of each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: UsedEncoder | None = None
    extraction: str | None = None
    """The folder that `bench extract` has written the features into; its settings make features of further videos."""
    ids: list[str] | None = None
    """What each row is called, such as the path of its video; not given, by its number, from 0."""
    labels: list[str] | None = None
    """The class of each row, or several separated by `; `."""


class CodesDescription(Origin):
    """What a file of codes holds."""

    schema_version: Literal[1] = 1
    videos: int = Field(ge=0)
    bits: int = Field(ge=1, le=MAX_BITS)
    format: Format
    """`signs`: int8, (videos, bits), −1 and +1. `packed`: uint8, (videos, bytes), where bit 1 stands for +1."""
    bitorder: BitOrder | None
    """Bit b of a packed code is bit b % 8 of byte b // 8, counted from the lowest (`little`) or highest (`big`)."""
    padding: int = Field(ge=0, le=7)
    """Bits after the last one in every packed code; they are 0."""
    sha256: str
    """Of the file."""
    features: str | None = None
    """The fingerprint of the feature file."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        expected = (-self.bits % 8, True) if self.format == "packed" else (0, False)
        if (self.padding, self.bitorder is not None) != expected:
            raise contradiction("padding and bitorder", f"{self.padding}, {self.bitorder}", f"those of {self.format}")
        for name, values in (("ids", self.ids), ("labels", self.labels)):
            if values is not None and len(values) != self.videos:
                raise contradiction(name, f"{len(values)}", f"{self.videos}, one a video")
        return self


@dataclass(frozen=True)
class CodeFile:
    """Codes that were read; `description` is None for signs that have none."""

    codes: PackedCodes
    description: CodesDescription | None


def choose_packing(form: str, bitorder: str | None) -> BitOrder | None:
    """The bit order of packed codes; None for signs. Raises InputError for unknown names."""
    if form not in get_args(Format):
        raise InputError(f"--format {form}: {closest(form, get_args(Format))}")
    if form == "signs":
        if bitorder is not None:
            raise InputError(f"--bitorder {bitorder}: signs have none; add --format packed")
        return None
    if bitorder not in (None, *get_args(BitOrder)):
        raise InputError(f"--bitorder {bitorder}: {closest(str(bitorder), get_args(BitOrder))}")
    return "big" if bitorder == "big" else "little"


def description_file(path: Path) -> Path:
    """The file that describes these codes: beside them or, for a link without one, where it leads."""
    beside = path.with_name(f"{path.name}.json")
    if path.is_symlink() and not os.path.lexists(beside):
        return description_file(path.resolve())
    return beside


def read_description(path: Path) -> CodesDescription | None:
    """The description beside a file of codes; None if there is none. Raises InputError if it cannot be used."""
    described = description_file(path)
    if not os.path.lexists(described):
        return None
    require_file(described, AGAIN)
    try:
        return CodesDescription.model_validate_json(described.read_bytes())
    except ValidationError as error:
        raise InputError(f"{described}: {validation_message(error)}; {AGAIN}") from error


def read_code_file(path: Path) -> CodeFile:
    """Codes from `.npy`, checked against their description.

    Signs (or 0 and 1) need none. Raises InputError for anything else that has none, or another file's, and for what
    holds no codes.
    """
    require_file(path, "name a file of codes that bench encode has written")
    description = read_description(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: is no .npy file of codes ({one_line(str(error))}); {AGAIN}") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: holds several arrays; codes are one array in a .npy file")
    if description is None:
        if array.dtype == np.uint8 and array.ndim == 2 and np.any(array > 1):
            raise InputError(
                f"{path}: holds bytes, and {description_file(path).name} is missing, which says how bits are packed; "
                f"copy it too, or {AGAIN}"
            )
        return CodeFile(read_codes(array, str(path)), None)
    width = description.bits if description.format == "signs" else (description.bits + description.padding) // 8
    stored_as = np.int8 if description.format == "signs" else np.uint8
    fits = (array.dtype, array.shape) == (np.dtype(stored_as), (description.videos, width))
    if not fits or sha256_of(path) != description.sha256:
        raise InputError(f"{path}: {description_file(path).name} describes another file; {AGAIN}")
    if description.format == "signs":
        return CodeFile(read_codes(array, str(path)), description)
    octets = array if description.bitorder == "little" else REVERSED[array]
    try:
        return CodeFile(packed_bytes(octets, description.bits), description)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_packed(signs: Path, path: Path, bitorder: BitOrder) -> None:
    """Write the packed form of a file of signs."""
    codes = np.load(signs, mmap_mode="r", allow_pickle=False)
    videos, bits = codes.shape
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (videos, -(-bits // 8))}
        )
        for start in range(0, videos, CHUNK):
            file.write(np.packbits(codes[start : start + CHUNK] > 0, axis=1, bitorder=bitorder).tobytes())


def write_description(path: Path, description: CodesDescription) -> None:
    """Write what describes the codes in `path`."""
    write_file(description_file(path), description.model_dump_json(indent=1).encode() + b"\n")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's contents."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
