"""Plug-ins that do not work, met by `bench run --plugin`."""

import os
from collections.abc import Iterator
from pathlib import Path

from . import material
from .case import Case, Make, command, written

HEAD = "from bench.learning.method import ShallowMethod\n"
GOOD = HEAD + 'class Mine(ShallowMethod):\n    name, title = "mine", "Mine"\n    def directions(self, c, r): pass\n'
FILES: dict[str, Make] = {
    "not Python": written("class:"),
    "bytes": written(bytes(range(256))),
    "a NUL": written("x = 1\0"),
    "empty": written(""),
    "raises": written('raise ValueError("\\x1b[2Jno\\nluck")'),
    "exits": written("import sys; sys.exit(0)"),
    "recurses": written("def f(): f()\nf()"),
    "nested deeply": written("(" * 10_000),
    "imports what is not there": written("import nobody_has_this"),
    "no name": written(GOOD.replace('name, title = "mine", "Mine"', 'title = "Mine"')),
    "a name that is a number": written(GOOD.replace('"mine"', "3")),
    "a name that is a path": written(GOOD.replace('"mine"', '"../mine"')),
    "a name that is taken": written(GOOD.replace('"mine"', '"lsh"')),
    "not all that a method defines": written(GOOD.replace("def directions(self, c, r): pass", "pass")),
    "a pipe that nobody writes to": os.mkfifo,
    "a folder": Path.mkdir,
    "not there": lambda path: None,
    "a link to itself": lambda path: path.symlink_to(path),
}


def cases() -> Iterator[Case]:
    for name, make in FILES.items():
        yield case(name, make)


def case(name: str, make: Make) -> Case:
    def fill(folder: Path) -> None:
        material.feature_folder(folder)
        make(folder / "mine.py")

    run = command("run", "--plugin", "mine.py", "--methods", "mine", "--bits", "4", "--datasets", "data")
    return Case("plug-ins", name, fill, run, "mine")
