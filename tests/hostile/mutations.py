"""Sound inputs with bytes changed at random, always the same ones: read, or refused in one line, and nothing else."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from . import checkpoints, encoders, features, labels, material, notes, stored, sweeps
from .case import READ_OR_REFUSED, Case, Make, written

EACH = int(os.environ.get("VHBENCH_MUTATIONS", "3"))
"""Mutations of every kind of input."""


def mutated(make: Make, seed: int) -> Make:
    """Writes what `make` writes, then changes it: bits, bytes, lengths, parts copied from elsewhere."""

    def change(path: Path) -> None:
        make(path)
        drawn, content = random.Random(seed), bytearray(path.read_bytes())
        for _ in range(drawn.choice((1, 1, 4, 32))):
            place = drawn.randrange(len(content))
            match drawn.randrange(6):
                case 0:
                    content[place] ^= 1 << drawn.randrange(8)
                case 1:
                    content[place] = drawn.choice((0, 1, 0x7F, 0x80, 0xFF))
                case 2:
                    content[place : place + 4] = drawn.choice((b"\xff" * 4, b"\x7f" * 4, bytes(4)))
                case 3:
                    del content[place : place + drawn.randrange(1, 9)]
                case 4:
                    content[place:place] = drawn.randbytes(drawn.randrange(1, 9))
                case _:
                    other = drawn.randrange(len(content))
                    content[place : place + 8] = content[other : other + 8]
            content = content or bytearray(b"\0")
        if drawn.randrange(8) == 0:
            del content[drawn.randrange(len(content)) :]
        path.write_bytes(content)

    return change


def same(path: Path) -> None:
    """Leaves the file that is there."""


NOTE = 'name = "mine"\nquery = "test"\nclass_names = ["a", "b", "c"]\n[files.test]\nfeatures = "test_feats.h5"\n'
KINDS: dict[str, Callable[[str, int], Case]] = {
    "features .h5": lambda name, seed: features.case("h5", name, mutated(material.hdf5, seed)),
    "features .h5, compressed": lambda name, seed: features.case(
        "h5", name, mutated(features.hdf5(chunks=(3, 4, 8), compression="gzip"), seed)
    ),
    "features .npy": lambda name, seed: features.case("npy", name, mutated(material.npy, seed)),
    "features .safetensors": lambda name, seed: features.case("safetensors", name, mutated(material.safetensors, seed)),
    "labels .mat": lambda name, seed: labels.case("test_labels.mat", name, mutated(material.mat, seed), ""),
    "labels .mat, compressed": lambda name, seed: labels.case(
        "test_labels.mat", name, mutated(material.compressed_mat, seed), ""
    ),
    "labels .mat, version 7.3": lambda name, seed: labels.case(
        "test_labels.mat", name, mutated(material.new_mat, seed), ""
    ),
    "dataset.toml": lambda name, seed: notes.case(name, mutated(written(NOTE), seed)),
    "sweep.toml": lambda name, seed: sweeps.case(name, mutated(written(sweeps.GOOD + "more = 1\n"), seed)),
    "encoder.json": lambda name, seed: encoders.case(name, "encoder.json", mutated(same, seed), material.deep_encoder),
    "encoder.safetensors": lambda name, seed: encoders.case(
        name, "encoder.safetensors", mutated(same, seed), material.encoder
    ),
    "checkpoint": lambda name, seed: checkpoints.case(name, mutated(material.checkpoint, seed)),
    "record.json": lambda name, seed: stored.case(name, "record.json", mutated(same, seed), stored.LIST),
    "codes.npz": lambda name, seed: stored.case(
        name, "codes.npz", stored.fitting(mutated(same, seed)), stored.EVALUATE
    ),
}


def cases() -> Iterator[Case]:
    for kind, build in KINDS.items():
        for seed in range(EACH):
            made = build(f"{kind}, {seed}", seed)
            statuses = tuple(sorted({*made.statuses, *READ_OR_REFUSED}))
            yield Case("mutations", made.name, made.make, made.call, "", statuses)
