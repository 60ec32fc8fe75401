"""Feature files that are not what they should be, met by `bench encode`."""

import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from . import material
from .case import Case, Make, command, cut, nothing, written

HUGE = (10**9, material.FRAMES, material.DIMENSIONS)
GOOD = material.FEATURES


def cases() -> Iterator[Case]:
    for suffix, kinds in (("h5", HDF5), ("npy", NPY), ("safetensors", SAFETENSORS)):
        for name, make in (kinds | ANY).items():
            yield case(suffix, name, make)


def case(suffix: str, name: str, make: Make) -> Case:
    file = f"hostile.{suffix}"

    def fill(folder: Path) -> None:
        material.encoder(folder)
        make(folder / file)

    encode = command("encode", "--encoder", "encoder", "--features", file, "--out", "codes.npy")
    return Case("features", f"{name} (.{suffix})", fill, encode, file)


def hdf5(array: Any = GOOD, key: str = "feats", **options: Any) -> Make:
    def make(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset(key, data=array, **options)

    return make


def declared(shape: tuple[int, ...], dtype: str = "f4", **options: Any) -> Make:
    """A dataset of which at most the first video was written."""

    def make(path: Path) -> None:
        with h5py.File(path, "w") as file:
            dataset = file.create_dataset("feats", shape=shape, dtype=dtype, **options)
            if "chunks" in options:
                dataset[(0,) * len(shape)] = 1

    return make


def in_file(change: Any) -> Make:
    """An HDF5 file with whatever `change(file)` puts into it."""

    def make(path: Path) -> None:
        material.hdf5(path.with_name("other.h5"))
        path.with_name("values.bin").write_bytes(GOOD.tobytes())
        with h5py.File(path, "w") as file:
            change(file)

    return make


def link(name: str, target: Any) -> Make:
    def change(file: Any) -> None:
        file[name] = target

    return in_file(change)


def virtual(source: str, shape: tuple[int, ...] = GOOD.shape) -> Make:
    def change(file: Any) -> None:
        file["inside"] = GOOD
        layout = h5py.VirtualLayout(shape, "f4")
        layout[: len(GOOD)] = h5py.VirtualSource(source, "inside" if source == "." else "feats", GOOD.shape)
        file.create_virtual_dataset("feats", layout)

    return in_file(change)


def external(file: Any) -> None:
    file.create_dataset("feats", GOOD.shape, "f4", external=[("values.bin", 0, GOOD.nbytes)])


def password(file: Any) -> None:
    """Values out of a system file."""
    file.create_dataset("feats", (1, 4, 8), "f4", external=[("/etc/passwd", 0, 128)])


def huge_video(path: Path) -> None:
    """One video of 16 GB: chunks of zeros that compress to nothing."""
    with h5py.File(path, "w") as file:
        shape, chunk = (1, 64, 2**26), (1, 64, 2**20)
        data = file.create_dataset("feats", shape, "f4", chunks=chunk, compression="gzip")
        content = deflated_zeros(4 * 64 * 2**20)
        for start in range(0, shape[2], chunk[2]):
            data.id.write_direct_chunk((0, 0, start), content)


def huge_chunk(path: Path) -> None:
    """A chunk of 2 GB of zeros that compresses to 2 MB."""
    with h5py.File(path, "w") as file:
        shape = (2**24, material.FRAMES, material.DIMENSIONS)
        data = file.create_dataset("feats", shape, "f4", chunks=shape, compression="gzip")
        data.id.write_direct_chunk((0, 0, 0), deflated_zeros(4 * 2**29))


def bad_chunk(path: Path) -> None:
    with h5py.File(path, "w") as file:
        data = file.create_dataset("feats", GOOD.shape, "f4", chunks=GOOD.shape, compression="gzip")
        data.id.write_direct_chunk((0, 0, 0), b"no deflate stream")


def unknown_filter(path: Path) -> None:
    """Chunks that were packed by a filter nobody has."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("feats", GOOD.shape, "f4", chunks=GOOD.shape, shuffle=True)
        data.id.write_direct_chunk((0, 0, 0), GOOD.tobytes())
    content = path.read_bytes()
    place = content.index(b"shuffle")
    path.write_bytes(content[: place - 8] + (999).to_bytes(2, "little") + content[place - 6 :])


def two_arrays(file: Any) -> None:
    file["a"], file["b"] = GOOD, GOOD


def different_lengths(file: Any) -> None:
    for length in (4, 3):
        file[f"feats/{length}"] = GOOD[0, :length]


def many_names(file: Any) -> None:
    for number in range(2000):
        file.attrs[f"a{number % 10}"] = number
        file.create_group(f"group-\x1b[31m-{number}")


def header(shape: tuple[int, ...], descr: Any = "<f4", version: int = 1, text: str = "") -> Make:
    """A `.npy` header with sixteen bytes of values."""
    body = text or repr({"descr": descr, "fortran_order": False, "shape": shape})
    length = len(body).to_bytes(2 if version == 1 else 4, "little")
    return written(b"\x93NUMPY" + bytes([version, 0]) + length + body.encode("latin1") + bytes(16))


def npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, feats=GOOD)


def zeros_in_zip(path: Path) -> None:
    """An archive of 4 GB of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("feats.npy", "w") as member:
        for _ in range(64):
            member.write(bytes(2**20))


def array(value: Any) -> Make:
    return lambda path: np.save(path, value)


def table(entry: Any, values: int = GOOD.nbytes, length: int | None = None) -> Make:
    """A `.safetensors` file with this header."""
    text = entry if isinstance(entry, bytes) else json.dumps(entry).encode()
    return written((len(text) if length is None else length).to_bytes(8, "little") + text + bytes(values))


def tensor(**changed: Any) -> Make:
    return table({"feats": {"dtype": "F32", "shape": [12, 4, 8], "data_offsets": [0, GOOD.nbytes], **changed}})


def pickled(path: Path) -> None:
    np.save(path, np.array([Executed(path.with_name("executed"))], dtype=object), allow_pickle=True)
    if path.suffix != ".npy":
        path.with_name(f"{path.name}.npy").rename(path)


class Executed:
    """Leaves a mark if it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def deflated_zeros(size: int, before: bytes = b"") -> bytes:
    """A deflate stream of some bytes and `size` zeros: one packed block of 16 MB, repeated. Its checksum is wrong."""
    packer, block = zlib.compressobj(9), bytes(2**24)
    first = packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + packed * (size // len(block)) + packer.flush()


NAN = np.where(np.arange(GOOD.size).reshape(GOOD.shape) == 300, np.nan, GOOD)
ANY: dict[str, Make] = {
    "not there": nothing,
    "empty": written(b""),
    "one byte": written(b"\x00"),
    "text": written("no features here\n" * 50),
    "zeros": written(bytes(10_000)),
    "a folder": Path.mkdir,
    "a pipe that nobody writes to": os.mkfifo,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a device": lambda path: path.symlink_to("/dev/zero"),
}
HDF5: dict[str, Make] = {
    "other keys": in_file(two_arrays),
    "texts": hdf5(np.array([[[b"text"]]])),
    "compound": hdf5(np.zeros((3, 4, 8), [("a", "f4"), ("b", "f4")])),
    "complex": hdf5(GOOD.astype("c8")),
    "two axes": hdf5(GOOD[0]),
    "four axes": hdf5(GOOD[None]),
    "one number": hdf5(np.float32(3)),
    "no videos": hdf5(GOOD[:0]),
    "no values": hdf5(h5py.Empty("f4")),
    "other frames": hdf5(GOOD[:, :3]),
    "other dimensions": hdf5(GOOD[:, :, :5]),
    "NaN": hdf5(NAN),
    "infinite": hdf5(np.where(np.isnan(NAN), np.inf, NAN)),
    "a group": in_file(lambda file: file.create_group("feats")),
    "a group in a group": in_file(lambda file: file.create_group("feats/feats")),
    "a group of links into another file": link("feats/a", h5py.ExternalLink("other.h5", "/feats")),
    "a group of videos of different lengths": in_file(different_lengths),
    "a type": link("feats", np.dtype("f4")),
    "nothing": in_file(lambda file: None),
    "thousands of names": in_file(many_names),
    "huge, never written": declared(HUGE),
    "huge, chunks never written": declared(HUGE, chunks=(1, *HUGE[1:])),
    "huge, 2^62 videos": declared((2**62, 1, 1), chunks=(1, 1, 1)),
    "one huge video": huge_video,
    "one huge chunk": huge_chunk,
    "damaged chunk": bad_chunk,
    "unknown filter": unknown_filter,
    "link into another file": link("feats", h5py.ExternalLink("other.h5", "/feats")),
    "link into a system file": link("feats", h5py.ExternalLink("/etc/passwd", "/feats")),
    "link to itself": link("feats", h5py.SoftLink("/feats")),
    "link to nothing": link("feats", h5py.SoftLink("/nowhere")),
    "values in another file": in_file(external),
    "values in a system file": in_file(password),
    "virtual, of another file": virtual("other.h5"),
    "virtual, of this file, huge": virtual(".", HUGE),
    "cut off": cut(hdf5(np.ones((500, 4, 8), np.float32)), 0.9),
    "cut off in the header": cut(hdf5(), 0.05),
}
NPY: dict[str, Make] = {
    "Python objects": pickled,
    "records": array(np.zeros((3, 4, 8), [("a", "f4")])),
    "column by column": array(np.asfortranarray(GOOD)),
    "two axes": array(GOOD[0]),
    "no videos": array(GOOD[:0]),
    "other frames": array(GOOD[:, :3]),
    "NaN": array(NAN),
    "an archive": npz,
    "an archive of zeros": zeros_in_zip,
    "cut off": cut(array(GOOD), 0.9),
    "cut off in the header": cut(array(GOOD), 0.02),
    "huge": header(HUGE),
    "negative": header((-1, 4, 8)),
    "negative twice": header((-10, -4, 8)),
    "an axis that is true": header((True, 4, 8)),
    "numbers beyond 64 bits": header((2**70, 4, 8)),
    "one huge video": header((1, 2**31, 2**31)),
    "later version": header((12, 4, 8), version=2),
    "later version, huge header": written(b"\x93NUMPY\x03\x00\xff\xff\xff\xff" + bytes(64)),
    "version 9": written(b"\x93NUMPY\x09\x00" + bytes(64)),
    "a header that is code": header((), text="__import__('pathlib').Path('executed').touch()"),
    "a header of brackets": header((), text="(" * 9000),
    "a header of minus signs": header((), text="-" * 9000),
    "an unknown type": header((12, 4, 8), descr="<f9"),
    "objects that are nested": header((1,), descr=[("a", "|O")]),
    "a header that is a list": header((), text="[1, 2]"),
}
SAFETENSORS: dict[str, Make] = {
    "other names": table(
        {name: {"dtype": "F32", "shape": [12, 4, 8], "data_offsets": [0, GOOD.nbytes]} for name in ("x", "y")}
    ),
    "integers that take more bytes": tensor(dtype="I64"),
    "an unknown type": tensor(dtype="\x1b[2J"),
    "a type that is a list": tensor(dtype=["F32"]),
    "two axes": tensor(shape=[4, 8]),
    "huge": tensor(shape=list(HUGE)),
    "huge, and consistent": tensor(shape=list(HUGE), data_offsets=[0, 4 * 32 * 10**9]),
    "negative": tensor(shape=[-12, -4, 8]),
    "a fraction": tensor(shape=[12.0, 4, 8]),
    "2^80 videos": tensor(shape=[2**80, 4, 8]),
    "offsets turned": tensor(data_offsets=[GOOD.nbytes, 0]),
    "offsets beyond the end": tensor(data_offsets=[10**6, 10**6 + GOOD.nbytes]),
    "offsets negative": tensor(data_offsets=[-8, GOOD.nbytes - 8]),
    "no shape": table({"feats": {"dtype": "F32"}}),
    "a number": table({"feats": 3}),
    "a list": table([1, 2]),
    "nested deeply": table(b"[" * 50_000),
    "a number of 5000 digits": table(b'{"feats": ' + b"9" * 5000 + b"}"),
    "not UTF-8": table(b'{"\xff\xfe": 1}'),
    "a header longer than the file": table({}, length=2**62),
    "no header": table(b"", length=0),
    "cut off": cut(material.safetensors, 0.9),
}
