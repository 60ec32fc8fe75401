"""One malformed input: the files to write, the call that meets them, and what the one line has to name."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Make = Callable[[Path], object]
"""Writes a file, at the path given."""
REFUSED = (2,)
READ_OR_REFUSED = (0, 2)
"""For bytes that were changed at random: what is changed may not matter."""
SET_ASIDE = (0, 1, 2)
"""For stored results, of which damaged ones are reported and set aside."""


def nothing(path: Path) -> None:
    """Write no file."""


@dataclass(frozen=True)
class Case:
    """A call in a folder of its own, which holds what `make` writes; the call must end in one of `statuses`.

    Ended in 2, it has said one line that starts with `bench: ` and has `names` in it.
    """

    category: str
    name: str
    make: Make
    """Fills the folder that the call is made in."""
    call: Callable[[], int]
    """The command line, or what stands for it; its exit status."""
    names: str
    statuses: tuple[int, ...] = REFUSED

    @property
    def label(self) -> str:
        return f"{self.category}: {self.name}"


def command(*arguments: str) -> Callable[[], int]:
    """A call of the command line."""

    def call() -> int:
        from bench.cli import main

        return main(list(arguments))

    return call


def python(act: Callable[[], object]) -> Callable[[], int]:
    """A call from Python, judged as the command line would be."""

    def call() -> int:
        from bench.base.errors import InputError
        from bench.base.text import one_line

        try:
            act()
        except InputError as error:
            print(f"bench: {one_line(str(error))}", file=sys.stderr)
            return 2
        return 0

    return call


def written(content: bytes | str) -> Make:
    """Writes this content."""
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


def cut(make: Make, share: float) -> Make:
    """Writes the first part of what `make` writes."""

    def cut_off(path: Path) -> None:
        make(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])

    return cut_off
