"""Large files written block by block: what is on disk is known by its checksum, so that a killed writer can go on."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.base.atomic import write_file
from bench.base.errors import InputError
from bench.base.processes import threads

PIECE_BYTES = 2**20


class Mark(BaseModel):
    """A file as it was after a block: the first `size` bytes of it have this SHA-256, and hold so many videos."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    videos: int
    size: int
    sha256: str


class Journal:
    """The marks of a piece of work, kept in a text file: a line that says what the work is, then a line a block."""

    def __init__(self, path: Path, work: str) -> None:
        """Go on with the journal at `path`, or start one. Raises InputError if it is of other work."""
        self._path = path
        if path.is_file():
            first, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
            if first != work:
                raise InputError(
                    f"{path.parent}: holds an unfinished conversion of something else; delete it, or name another"
                )
            self._marks = list(_whole(lines))
        else:
            self._marks = []
        # Written anew, so that a last line that was cut off is gone.
        write_file(path, ("\n".join([work, *(mark.model_dump_json() for mark in self._marks)]) + "\n").encode())

    def marks(self, file: str) -> list[Mark]:
        """The marks of one file, in the order of writing."""
        return [mark for mark in self._marks if mark.file == file]

    def add(self, mark: Mark) -> None:
        """Note that a block is complete."""
        self._marks.append(mark)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(mark.model_dump_json() + "\n")


@dataclass(frozen=True)
class Restored:
    """How much of an unfinished file is as its marks say: the last mark that holds, and the digest up to there."""

    mark: Mark | None
    digest: Any


def restore(path: Path, marks: Iterable[Mark], step: Callable[[], None]) -> Restored:
    """Read an unfinished file up to the last mark that its contents agree with; `step` is called for each mark."""
    held, digest = None, hashlib.sha256()
    if not path.is_file():
        return Restored(None, digest)
    with path.open("rb") as file:
        for mark in marks:
            ahead = digest.copy()
            _digest(file, mark.size - file.tell(), ahead)
            if ahead.hexdigest() != mark.sha256:
                break
            held, digest = mark, ahead
            step()
    return Restored(held, digest)


def write_on(path: Path, restored: Restored, header: bytes, blocks: Iterable[tuple[int, memoryview]]) -> Iterator[Mark]:
    """Write the rest of a file and give a mark after each block.

    `blocks` gives how many videos are done with a block, and its bytes. A file of which nothing is restored starts with
    the header. Everything is safe on disk when the iterator ends.
    """
    digest = restored.digest
    with path.open("r+b" if restored.mark else "w+b") as file, threads(1) as beside:
        file.truncate(restored.mark.size if restored.mark else 0)
        file.seek(0, os.SEEK_END)
        if not restored.mark:
            file.write(header)
            digest.update(header)
        for videos, block in blocks:
            # The checksum takes as long as the writing: side by side.
            summed = beside.submit(digest.update, block)
            file.write(block)
            file.flush()
            summed.result()
            yield Mark(file=path.name, videos=videos, size=file.tell(), sha256=digest.hexdigest())
        os.fsync(file.fileno())


def sha256_of(path: Path) -> str:
    """The SHA-256 of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(file: BinaryIO, size: int, digest: Any) -> None:
    """Add the next `size` bytes of a file, or what there is of them."""
    while size > 0 and (piece := file.read(min(size, PIECE_BYTES))):
        digest.update(piece)
        size -= len(piece)


def _whole(lines: Iterable[str]) -> Iterator[Mark]:
    """The marks up to the first line that is none: the last one may have been cut off."""
    for line in lines:
        try:
            yield Mark.model_validate_json(line)
        except ValidationError:
            return
