"""Checkpoints that are no weights, or more than weights, met by `bench.load_checkpoint`."""

import os
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from . import material
from .case import Case, Make, cut, nothing, python, written
from .features import Executed, zeros_in_zip

FILE = "authors.pth"


def saved(change: Callable[[dict[str, Any]], Any], **options: Any) -> Make:
    """Weights as the authors store them, changed."""
    return lambda path: torch.save(change(dict(material.weights())), path, **options)


def with_weight(name: str, value: Any) -> Make:
    return saved(lambda weights: weights | {name: value})


def malicious(path: Path) -> None:
    torch.save({"binary.weight": Executed(path.with_name("executed"))}, path)


def malicious_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Executed(path.with_name("executed"))))


def malicious_legacy(path: Path) -> None:
    torch.save({"a": Executed(path.with_name("executed"))}, path, _use_new_zipfile_serialization=False)


def archive(content: bytes, compression: int = zipfile.ZIP_STORED) -> Make:
    """A file as `torch.save` makes them, around another pickle."""

    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", compression) as file:
            file.writestr("archive/data.pkl", content)
            file.writestr("archive/version", "3\n")

    return make


def bomb(path: Path) -> None:
    """A storage of 1.3 GB of zeros, compressed to a few MB."""
    material.checkpoint(path)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, content in members.items():
            if not name.endswith("/data/0"):
                file.writestr(name, content)
        with file.open(next(name for name in members if name.endswith("/data/0")), "w", force_zip64=True) as member:
            for _ in range(80):
                member.write(bytes(2**24))


def expanded(weights: dict[str, Any]) -> dict[str, Any]:
    """A matrix of 4 TB, every row the same."""
    return weights | {"mc_mlp.preproj.weight": torch.zeros(1, 1).expand(10**6, 10**6)}


def wide(weights: dict[str, Any]) -> dict[str, Any]:
    """A matrix that is honest, and would make the network's own ones of a size beyond any memory."""
    return weights | {"mc_mlp.preproj.weight": torch.zeros(16 * 10**5, 1)}


def quantised(weights: dict[str, Any]) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return weights | {"binary.weight": torch.quantize_per_tensor(torch.zeros(16, 256), 1.0, 0, torch.qint8)}


def allocating() -> bytes:
    """A pickle that asks for a byte array of 100 GB, which PyTorch's own list of allowed names has."""
    return b"\x80\x02cbuiltins\nbytearray\n\x8a\x05" + (10**11).to_bytes(5, "little") + b"\x85R."


def nested(depth: int) -> bytes:
    return b"\x80\x02" + b"(" * depth + b"l" * depth + b"."


def doubling() -> bytes:
    """Lists of lists of lists, each twice the one before."""
    lists = (b"]q%c(h%ch%ce" % (number + 1, number, number) for number in range(60))
    return b"\x80\x02]q\x00" + b"".join(lists) + b"."


CONTENTS: dict[str, Make] = {
    "not there": nothing,
    "empty": written(b""),
    "text": written("no weights here\n" * 50),
    "zeros": written(bytes(1000)),
    "a folder": Path.mkdir,
    "a pipe that nobody writes to": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "cut off": cut(material.checkpoint, 0.8),
    "cut off at the start": cut(material.checkpoint, 0.01),
    "code": malicious,
    "code, a bare pickle": malicious_pickle,
    "code, the old format": malicious_legacy,
    "code by name": archive(b"cos\nsystem\n(S'touch executed'\ntR."),
    "a whole module": lambda path: torch.save(torch.nn.Linear(3, 4), path),
    "a bare tensor": lambda path: torch.save(torch.zeros(3), path),
    "a list": lambda path: torch.save([torch.zeros(3)], path),
    "nothing inside": lambda path: torch.save({}, path),
    "numbers for weights": with_weight("binary.weight", 3),
    "names that are numbers": saved(lambda weights: dict(enumerate(weights.values()))),
    "a weight is missing": saved(lambda weights: {n: v for n, v in weights.items() if n != "binary.bias"}),
    "a weight too many": with_weight("\x1b[2Jmore", torch.zeros(3)),
    "a weight of another shape": with_weight("binary.bias", torch.zeros(17)),
    "a weight of whole numbers": with_weight("binary.bias", torch.zeros(17, dtype=torch.int64)),
    "a sparse weight": with_weight("binary.weight", torch.zeros(16, 256).to_sparse()),
    "a weight without values": with_weight("binary.weight", torch.zeros(16, 256, device="meta")),
    "a quantised weight": saved(quantised),
    "hidden that the method refuses": with_weight("mc_mlp.preproj.weight", torch.zeros(17, 40)),
    "no hidden": with_weight("mc_mlp.preproj.weight", torch.zeros(0, 40)),
    "no dimensions": with_weight("mc_mlp.preproj.weight", torch.zeros(256, 0)),
    "NaN": with_weight("binary.bias", torch.full((16,), float("nan"))),
    "a matrix of 4 TB": saved(expanded),
    "a network of 5 TB": saved(wide),
    "1.3 GB of zeros": bomb,
    "an archive of something else": zeros_in_zip,
    "an archive of 64 MB of zeros for a pickle": archive(bytes(2**26), zipfile.ZIP_DEFLATED),
    "a byte array of 100 GB": archive(allocating()),
    "a byte array of 100 GB, a bare pickle": written(allocating()),
    "lists nested deeply": archive(nested(10**5)),
    "lists that double": archive(doubling()),
    "a text of 2^60 bytes": archive(b"\x80\x04\x8d" + (2**60).to_bytes(8, "little") + b"."),
    "nothing on the stack": archive(b"\x80\x02."),
    "a module of code": lambda path: torch.jit.save(torch.jit.script(torch.nn.Linear(3, 4)), str(path)),
}


def cases() -> Iterator[Case]:
    for name, make in CONTENTS.items():
        yield case(name, make)
    yield Case("checkpoints", "16 frames too many", in_folder(material.checkpoint), load(frames=41), FILE)
    yield Case("checkpoints", "no frames", in_folder(material.checkpoint), load(frames=0), "frames")
    yield Case("checkpoints", "10^30 bits", in_folder(material.checkpoint), load(bits=10**30), "bits")
    yield Case(
        "checkpoints", "alpha that is not a number", in_folder(material.checkpoint), load(alpha=float("nan")), ""
    )


def case(name: str, make: Make) -> Case:
    return Case("checkpoints", name, in_folder(make), load(), FILE)


def in_folder(make: Make) -> Make:
    return lambda folder: make(folder / FILE)


def load(bits: int = 16, frames: int = 25, alpha: float = 1.0) -> Callable[[], int]:
    def act() -> None:
        import bench

        bench.load_checkpoint("mcmsh", FILE, bits=bits, frames=frames, alpha=alpha)

    return python(act)
