"""Files on their way between driver and nodes: plug-ins whole, results and training states in pieces."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bench.errors import InputError

PIECE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Piece:
    """A part of a file, in order; `last` completes it."""

    name: str
    """Relative, with slashes."""
    content: bytes
    last: bool


@dataclass(frozen=True)
class PluginFiles:
    """A plug-in's Python files by relative name, and the name of the file or folder that was given."""

    name: str
    files: dict[str, bytes]


def pieces(folder: Path, name: str) -> Iterator[Piece]:
    """A file of the folder; one that was put in place by renaming stays whole while it is read."""
    with (folder / name).open("rb") as file:
        content = file.read(PIECE_BYTES)
        while True:
            following = file.read(PIECE_BYTES)
            yield Piece(name, content, not following)
            if not following:
                return
            content = following


@dataclass
class Incoming:
    """A folder for files that come in pieces."""

    folder: Path
    _begun: set[str] = field(default_factory=set)

    def take(self, piece: Piece) -> Path | None:
        """Where the piece's file lies, if it is complete now."""
        path = self.folder / inside(piece.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab" if piece.name in self._begun else "wb") as file:
            file.write(piece.content)
        self._begun.add(piece.name)
        if not piece.last:
            return None
        self._begun.discard(piece.name)
        return path


def inside(name: str) -> Path:
    """A relative name as a path; InputError if it leads out of the folder that it belongs to."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise InputError(f"a node sent a file called {name!r}, which is no name within a run's folder")
    return Path(path)


def pack(plugins: Sequence[Path]) -> list[PluginFiles]:
    """Plug-ins as they travel: a file alone, a folder with all Python files below it."""
    packed = []
    for plugin in plugins:
        given = plugin.resolve()
        files = [given] if given.is_file() else sorted(given.rglob("*.py"))
        home = given.parent if given.is_file() else given
        contents = {path.relative_to(home).as_posix(): path.read_bytes() for path in files}
        packed.append(PluginFiles(given.name, contents))
    return packed


def unpack(plugins: Sequence[PluginFiles], folder: Path) -> list[Path]:
    """Write plug-ins below a folder; what to hand to the registry."""
    paths = []
    for number, plugin in enumerate(plugins):
        home = folder / str(number)
        alone = set(plugin.files) == {plugin.name}
        for name, content in plugin.files.items():
            path = (home if alone else home / plugin.name) / inside(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        paths.append(home / plugin.name)
    return paths
