"""Saved encoders that are damaged or crafted, met by `bench encode`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from . import material
from .case import Case, Make, command, cut, written
from .features import table

DESCRIPTION, WEIGHTS = "encoder.json", "encoder.safetensors"


def described(**changed: Any) -> Make:
    """The description with other values; None leaves one out."""

    def make(path: Path) -> None:
        values = json.loads(path.read_text()) | changed
        path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))

    return make


def changed_weights(**changed: Any) -> Make:
    def make(path: Path) -> None:
        good = {
            "mean": np.zeros(material.DIMENSIONS, np.float32),
            "weight": np.zeros((material.DIMENSIONS, material.BITS), np.float32),
        }
        save_file({name: value for name, value in (good | changed).items() if value is not None}, path)

    return make


def instead(make: Make) -> Make:
    """What is there makes room for what `make` makes."""

    def made(path: Path) -> None:
        path.unlink()
        make(path)

    return made


ANY: dict[str, Make] = {
    "not there": Path.unlink,
    "empty": written(b""),
    "bytes": written(bytes(range(256)) * 4),
    "cut off": cut(lambda path: None, 0.7),
    "a folder": instead(Path.mkdir),
    "a pipe that nobody writes to": instead(os.mkfifo),
    "a device": instead(lambda path: path.symlink_to("/dev/zero")),
    "a link to itself": instead(lambda path: path.symlink_to(path)),
}
DESCRIPTIONS: dict[str, Make] = ANY | {
    "a list": written("[]"),
    "a number": written("3"),
    "nothing but an opening": written("{"),
    "nested deeply": written('{"parameters": ' + "[" * 50_000),
    "parameters nested deeply": written('{"parameters": {"a": ' + "[" * 5_000 + "]" * 5_000 + "}}"),
    "not UTF-8": written(b'{"method": "\xff"}'),
    "an unknown key": described(extra=1),
    "no method": described(method=None),
    "an unknown method": described(method="nobody"),
    "a method that is a path": described(method="../evil.py"),
    "a method with an escape sequence": described(method="\x1b[2J"),
    "a method that is a number": described(method=3),
    "a later version": described(format_version=2),
    "no bits": described(bits=0),
    "negative bits": described(bits=-8),
    "10^30 bits": described(bits=10**30),
    "bits that are not a number": written('{"bits": NaN, "method": "lsh", "frames": 4, "dimensions": 8}'),
    "other bits": described(bits=16),
    "other dimensions": described(dimensions=9),
    "10^12 dimensions": described(dimensions=10**12),
    "10^8 dimensions": described(dimensions=10**8),
    "10^30 dimensions": described(dimensions=10**30),
    "infinite frames": written('{"frames": Infinity}'),
    "an unknown parameter": described(parameters={"hidden": 16}),
    "parameters that are a list": described(parameters=[]),
}
WEIGHT_FILES: dict[str, Make] = ANY | {
    "a weight is missing": changed_weights(mean=None),
    "a weight too many": changed_weights(more=np.zeros(3, np.float32)),
    "a weight of another shape": changed_weights(mean=np.zeros(9, np.float32)),
    "a weight of text": changed_weights(mean=np.zeros(8, np.uint8)),
    "NaN": changed_weights(weight=np.full((8, 8), np.nan, np.float32)),
    "infinite": changed_weights(weight=np.full((8, 8), np.inf, np.float32)),
    "a header longer than the file": table({}, length=2**62),
    "a header of nested lists": table(b"[" * 50_000),
    "a tensor beyond the end": table({"mean": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}),
    "tensors over each other": table(
        {name: {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]} for name in ("mean", "weight")}, 32
    ),
    "10 GB": lambda path: os.truncate(path, 10**10),
}
DEEP: dict[str, Make] = {
    "10^9 hidden": described(parameters={"hidden": 16 * 10**8}),
    "a million hidden": described(parameters={"hidden": 16 * 10**5}),
    "10^9 frames": described(frames=10**9),
    "10^5 frames": described(frames=10**5),
    "10^10 dimensions": described(dimensions=10**10),
    "10^8 dimensions": described(dimensions=10**8),
    "hidden that is not a number": described(parameters={"hidden": "many"}),
    "a branch nobody knows": described(parameters={"hidden": 16, "branches": ["longest"]}),
}


def cases() -> Iterator[Case]:
    for name, make in DESCRIPTIONS.items():
        yield case(f"{name} ({DESCRIPTION})", DESCRIPTION, make, material.encoder)
    for name, make in WEIGHT_FILES.items():
        yield case(f"{name} ({WEIGHTS})", WEIGHTS, make, material.encoder)
    for name, make in DEEP.items():
        yield case(f"{name} (a network)", DESCRIPTION, make, material.deep_encoder)


def case(name: str, file: str, make: Make, start: Make) -> Case:
    def fill(folder: Path) -> None:
        start(folder)
        make(folder / "encoder" / file)

    encode = command("encode", "--encoder", "encoder", "--features", "features.npy", "--out", "codes.npy")
    return Case("encoders", name, fill, encode, "")
