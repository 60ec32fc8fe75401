"""Files that claim to be of `bench submit`, met by the verb that takes them in."""

import os
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from . import material
from .case import Case, Make, command, cut, written
from .features import zeros_in_zip

RUN = "own/lsh/8-0123456789ab"
MERGE = command("results", "merge", "s.zip", "--results", "mine")


def submission(change: Callable[[dict[str, bytes]], object]) -> Make:
    """A submission of the sound run, with other members."""

    def make(path: Path) -> None:
        material.results(path.parent)
        run = material.runs(path.parent)[0]
        place = "/".join(run.parts[-3:])
        names = ("record.json", "codes.npz", "average_precision.npz", "encoder/encoder.json")
        members = {f"{place}/{name}": (run / name).read_bytes() for name in names}
        change(members)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name), content)

    return make


def with_member(name: str, content: bytes = b"x") -> Make:
    return submission(lambda members: members.update({name: content}))


def crafted(name: str, content: bytes, mode: int = 0, method: int = zipfile.ZIP_STORED) -> Make:
    """An archive of one member with these attributes."""

    def make(path: Path) -> None:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(entry, content, compress_type=method)

    return make


def patched(make: Make, old: bytes, new: bytes) -> Make:
    def patch(path: Path) -> None:
        make(path)
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new))

    return patch


def twice(path: Path) -> None:
    """Two members of one name; Python warns of it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{RUN}/record.json", "{}")
        archive.writestr(f"{RUN}/record.jsoN", "{}")
    path.write_bytes(path.read_bytes().replace(b"jsoN", b"json"))


def overlapping(path: Path) -> None:
    """A hundred members that share the bytes of the first."""
    content = bytes(10**5)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(100):
            archive.writestr(f"own/lsh/8-{number:012x}/codes.npz", content if number == 0 else b"")
        for entry in archive.infolist():
            entry.header_offset, entry.file_size, entry.compress_size = 0, len(content), len(content)


def sparse(path: Path) -> None:
    """A file of 100 GB that takes no room."""
    with path.open("wb") as file:
        file.truncate(10**11)


def bomb(path: Path) -> None:
    """Codes of 4 GB, in arrays that deflate to nothing."""
    inner = path.with_name("codes.npz")
    zeros_in_zip(inner)
    content = inner.read_bytes().replace(struct.pack("<I", 2**26), struct.pack("<I", 2**32 - 2))
    inner.unlink()
    with_member(f"{RUN}/codes.npz", content)(path)


MODE = stat.S_IFREG | 0o644
ENTRY = b"PK\x01\x02\x14\x03\x14\x00"
"""The beginning of a member in an archive's directory, before its flags."""
SUBMISSIONS: dict[str, Make] = {
    "empty": written(b""),
    "text": written("no archive"),
    "cut off": cut(submission(lambda members: None), 0.7),
    "no members": written(b"PK\x05\x06" + bytes(18)),
    "a pipe": os.mkfifo,
    "100 GB": sparse,
    "out of the folder": with_member("../../../evil"),
    "out of the folder by a run": with_member("../lsh/8-0123456789ab/record.json"),
    "an absolute path": with_member("/tmp/lsh/8-0123456789ab/record.json"),
    "a hidden folder": with_member(".labels/lsh/8-0123456789ab/record.json"),
    "labels of its own": with_member(f".labels/{'0' * 32}.json"),
    "a drive": with_member("C:\\own\\lsh\\8-0123456789ab\\record.json"),
    "backslashes": with_member("own\\..\\..\\x/lsh/8-0123456789ab/record.json"),
    "an escape sequence": with_member("\x1b[2J/lsh/8-0123456789ab/record.json"),
    "a name of 10,000 letters": with_member(f"{'a' * 10_000}/lsh/8-0123456789ab/record.json"),
    "weights": with_member(f"{RUN}/encoder/encoder.safetensors"),
    "a pickle": with_member(f"{RUN}/encoder/encoder.pth"),
    "no record": with_member(f"{RUN}/codes.npz", b""),
    "a file in place of a folder": with_member(RUN),
    "a link": crafted(f"{RUN}/record.json", b"/etc/passwd", stat.S_IFLNK | 0o777),
    "a device": crafted(f"{RUN}/record.json", b"", stat.S_IFCHR | 0o666),
    "compressed": crafted(f"{RUN}/record.json", bytes(2**24), MODE, zipfile.ZIP_DEFLATED),
    "encrypted": patched(crafted(f"{RUN}/record.json", b"{}", MODE), ENTRY + b"\0", ENTRY + b"\1"),
    "a NUL in a name": patched(with_member(f"{RUN}/record.jsonXX"), b"record.jsonXX", b"record.json\0X"),
    "a file twice": twice,
    "members that overlap": overlapping,
    "arrays that inflate": bomb,
    "other bytes than its checksum": patched(submission(lambda members: None), b'"done"', b'"gone"'),
    "codes that are no archive": with_member(f"{RUN}/codes.npz", bytes(100)),
}  # fmt: skip


def cases() -> Iterator[Case]:
    for name, make in SUBMISSIONS.items():
        yield case(name, make)


def case(name: str, make: Make) -> Case:
    return Case("submissions", name, lambda folder: make(folder / "s.zip"), MERGE, "s.zip")
