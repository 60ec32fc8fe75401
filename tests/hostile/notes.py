"""Descriptions of datasets (`dataset.toml`) that are malformed, met by `bench data check`."""

import os
from collections.abc import Iterator
from pathlib import Path

from . import material
from .case import Case, Make, command, written

TEXTS: dict[str, str] = {
    "not TOML": "query : test",
    "a key without a value": "query =",
    "an unknown key": 'gallary = "test"',
    "an unknown split": 'query = "validation"',
    "a number for a split": "query = 3",
    "a number for a name": "name = 3",
    "the same key twice": 'query = "test"\nquery = "train"',
    "a list for a table": "files = [1, 2]",
    "an unknown split of files": '[files.validation]\nfeatures = "test_feats.h5"',
    "no files": "[files.test]\nfeatures = []",
    "numbers for files": "[files.test]\nfeatures = [1, 2]",
    "no such file": '[files.test]\nfeatures = "nowhere.h5"',
    "an empty file name": '[files.test]\nfeatures = ""',
    "the folder itself": '[files.test]\nfeatures = "."',
    "out of the folder": '[files.test]\nfeatures = "../secret.h5"',
    "out of the folder and back": '[files.test]\nfeatures = "../../x/../secret.h5"',
    "an absolute path": '[files.test]\nlabels = "/etc/passwd"',
    "a path of 100,000 characters": f'[files.test]\nfeatures = "{"a" * 100_000}"',
    "a path of 100,000 folders": f'[files.test]\nfeatures = "{"a/" * 100_000}"',
    "a NUL in a path": '[files.test]\nfeatures = "a\\u0000b.h5"',
    "an escape sequence in a path": '[files.test]\nfeatures = "\\u001b[2J.h5"',
    "an escape sequence in the title": 'title = "\\u001b]0;owned\\u0007"',
    "an escape sequence in a class name": 'class_names = ["a", "b", "\\u001b[31mc"]',
    "text that runs backwards in the name": 'name = "safe\\u202egnp.exe"',
    "a line break in the title": 'title = "a\\nb"',
    "too few class names": 'class_names = ["a"]',
    "numbers for class names": "class_names = [1, 2, 3]",
    "no such array": '[files.test]\nfeatures_key = "nothing"',
    "an empty key": '[files.test]\nfeatures_key = ""',
    "a key that is a path": '[files.test]\nfeatures_key = "../../feats"',
    "a NUL in a key": '[files.test]\nfeatures_key = "fe\\u0000ats"',
    "a NUL in a labels key": '[files.test]\nlabels_key = "la\\u0000bels"',
    "a key of 100,000 characters": f'[files.test]\nfeatures_key = "{"k" * 100_000}"',
    "lists nested deeply": "class_names = " + "[" * 50_000,
    "lists nested deeply, and closed": "class_names = " + "[" * 5_000 + "]" * 5_000,
    "tables nested deeply": "recommended = " + "{a=" * 50_000,
    "a key of 100,000 parts": "a." * 100_000 + "b = 1",
    "a table of 100,000 parts": "[" + "a." * 100_000 + "b]",
    "a number of 5000 digits": f"stand_in = {'9' * 5000}",
    "a hexadecimal number of 100,000 digits": f"stand_in = 0x{'f' * 100_000}",
    "a hexadecimal number for a name": f"name = 0x{'f' * 100_000}",
    "a date that is none": "name = 2024-99-99",
    "recommended that is no table": "recommended = 3",
    "recommended values that are no table": "[recommended]\nmcmsh = 3",
    "two byte order marks": "\ufeff\ufeffname = 'a'",
    "a file that is a link": '[files.test]\nfeatures = "linked.h5"',
    "ten thousand wrong keys": "\n".join(f"key{number} = {number}" for number in range(10_000)),
    "one part file of two is not there": '[files.test]\nfeatures = ["test_feats.h5", "more.h5"]',
    "a part file twice": '[files.test]\nfeatures = ["test_feats.h5", "test_feats.h5"]',
    "labels of the other split": '[files.test]\nlabels = "train_labels.mat"',
    "a query split without files": 'query = "query"',
}


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def unreadable(path: Path) -> None:
    path.write_text('name = "a"')
    path.chmod(0)
    if os.access(path, os.R_OK):  # the administrator may read everything
        path.unlink()
        path.write_text("may be read after all")


FILES: dict[str, Make] = {
    "not UTF-8": written(b'name = "\xff\xfe"'),
    "UTF-16, cut off": written('name = "a"'.encode("utf-16")[:-1]),
    "bytes": written(bytes(range(256)) * 10),
    "zeros": written(bytes(1000)),
    "100 MB": lambda path: sparse(path, 10**8),
    "a pipe that nobody writes to": os.mkfifo,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
    "not to be read": unreadable,
}


def cases() -> Iterator[Case]:
    for name, make in ({name: written(text) for name, text in TEXTS.items()} | FILES).items():
        yield case(name, make)
    yield linked()


def case(name: str, make: Make) -> Case:
    def fill(folder: Path) -> None:
        material.feature_folder(folder)
        material.hdf5(folder / "secret.h5")
        (folder / "data" / "linked.h5").symlink_to("../secret.h5")
        make(folder / "data" / "dataset.toml")

    return Case("dataset.toml", name, fill, command("data", "check", "data"), "data")


def linked() -> Case:
    """A file of the folder that is a link to one outside."""

    def fill(folder: Path) -> None:
        material.feature_folder(folder)
        (folder / "data" / "test_labels.mat").unlink()
        (folder / "data" / "test_labels.mat").symlink_to("/etc/passwd")

    return Case("dataset.toml", "labels are a link out of the folder", fill, command("data", "check", "data"), "labels")
