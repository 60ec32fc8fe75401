"""Documents: Markdown with tables and figures, and the files they become in a folder.

A document's files replace those of the document before, and nobody's own.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.base.errors import InputError
from bench.base.text import say
from bench.report.escape import html, markdown
from bench.report.figures import Plot, drawn, settings
from bench.report.tables import Table, to_csv, to_latex, to_markdown
from bench.report.unchanged import digest, note_of, written
from bench.store.leases import Leases, exclusive

REPORT = "report.md"
TABLES = "tables"
FIGURES = "figures"
GENERATED = b"<!-- rendered by vhbench"
"""The beginning of every document that this package writes."""
LEASE = ".writing"
STAGED = ".new"
ELSEWHERE = "name another folder with --report"


@dataclass(frozen=True)
class ShownTable:
    """A table where it stands, with those of its notes that are shown there."""

    table: Table
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Folded:
    """What is hidden until a reader unfolds its summary."""

    summary: str
    blocks: list["Block"]


Block = str | ShownTable | Plot | Folded
"""Markdown, a table, a plot, or some of them folded."""


@dataclass
class Document:
    """A report as it grows: what stands in it, in order. Markdown and the page show the same blocks."""

    blocks: list[Block] = field(default_factory=list)
    banner: str = ""
    """A line above every plot that is added."""
    _noted: set[str] = field(default_factory=set)

    @property
    def text(self) -> str:
        """The document as Markdown."""
        return "\n\n".join(part for block in self.blocks for part in _markdown(block)) + "\n"

    @property
    def tables(self) -> list[Table]:
        return [block.table for block in _flat(self.blocks) if isinstance(block, ShownTable)]

    @property
    def plots(self) -> list[Plot]:
        return [block for block in _flat(self.blocks) if isinstance(block, Plot)]

    def add(self, *parts: str) -> None:
        """Markdown."""
        self.blocks += parts

    def add_section(self, title: str) -> None:
        """A heading below which notes stand that an earlier section had, too."""
        self._noted.clear()
        self.add(f"## {markdown(title)}")

    def add_table(self, table: Table | None) -> None:
        """A table, if there is one, with those of its notes that its section does not have yet."""
        if table is None:
            return
        notes = tuple(note for note in table.notes if note not in self._noted)
        self._noted.update(notes)
        self.blocks.append(ShownTable(table, notes))

    def add_plot(self, plot: Plot) -> None:
        self.blocks.append(replace(plot, banner=self.banner))

    @contextmanager
    def folded(self, summary: str) -> Iterator[None]:
        """Hides what is added within until a reader unfolds the `summary`."""
        outer, self.blocks = self.blocks, []
        try:
            yield
        finally:
            outer.append(Folded(summary, self.blocks))
            self.blocks = outer


def _flat(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        if isinstance(block, Folded):
            yield from _flat(block.blocks)
        else:
            yield block


def _markdown(block: Block) -> list[str]:
    if isinstance(block, str):
        return [block]
    if isinstance(block, ShownTable):
        name = f"{TABLES}/{block.table.name}"
        return [to_markdown(replace(block.table, notes=block.notes)), f"[CSV]({name}.csv) · [LaTeX]({name}.tex)"]
    if isinstance(block, Plot):
        path = f"{FIGURES}/{block.name}"
        links = " · ".join(f"[{ending.upper()}]({path}.{ending})" for ending in ("png", "svg", "csv"))
        return [f"![{markdown(block.name)}]({path}.svg)", f"*{markdown(block.caption)}* {links}"]
    within = [part for inner in block.blocks for part in _markdown(inner)]
    return [f"<details><summary>{html(block.summary)}</summary>", *within, "</details>"]


def write_document(composed: Callable[[], Document], folder: Path, file: str = REPORT, made_of: str = "") -> Path:
    """Write a document as `file`, with its tables and figures. Returns the path of the file.

    `composed` is called with the settings for plots in force. Files that an earlier document of the same name brought
    are replaced or removed. All others stay; one whose name is needed, or that was changed by hand, gets another name.

    Raises:
        InputError: the folder cannot be written, or holds a `file` of somebody else's.
    """
    require_writable(folder, file)
    with settings():
        files = _rendered(composed(), file)
    try:
        final = folder.resolve()
        final.mkdir(parents=True, exist_ok=True)
        # Processes that share a sweep end at the same time, and write the same report.
        with exclusive(Leases(final), LEASE, say=lambda _: say(f"{folder}: waiting for a process that writes there")):
            _put(files, final, file, made_of)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder / file


def require_writable(folder: Path, file: str = REPORT) -> None:
    """InputError unless a document can be written into the folder as `file`, with its tables and figures."""
    final = folder.resolve()
    places = (final, final / TABLES, final / FIGURES)
    for place in places:
        if place.exists() and not place.is_dir():
            raise InputError(f"{place}: is a file, not a folder; move it, or {ELSEWHERE}")
    found = [place for place in places if place.exists()]
    for place in found or [next(parent for parent in final.parents if parent.exists())]:
        try:
            # Trying is the only sure way to know.
            Path(tempfile.mkdtemp(prefix=".vhbench-", dir=place)).rmdir()
        except OSError as error:
            raise _unwritable(folder, error) from error
    document = final / file
    if not document.exists() or file in written(final, file):
        return
    if document.is_dir() or not document.read_bytes().startswith(GENERATED):
        raise InputError(f"{folder / file}: was not written by vhbench, and would be replaced; move it, or {ELSEWHERE}")


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder}: the report cannot be written there ({error.strerror or error}); {ELSEWHERE}")


def _rendered(document: Document, file: str) -> dict[str, bytes]:
    """The contents of all files, by name below the folder."""
    files: dict[str, bytes] = {}
    for table in document.tables:
        files[f"{TABLES}/{table.name}.csv"] = to_csv(table.frame).encode()
        files[f"{TABLES}/{table.name}.tex"] = to_latex(table).encode()
    for plot, (svg, png) in zip(document.plots, drawn(document.plots), strict=True):
        files[f"{FIGURES}/{plot.name}.csv"] = to_csv(plot.frame).encode()
        files[f"{FIGURES}/{plot.name}.svg"] = svg.encode()
        files[f"{FIGURES}/{plot.name}.png"] = png
    files[file] = document.text.encode()
    return files


def _put(files: Mapping[str, bytes], folder: Path, file: str, made_of: str) -> None:
    """Have the files take their places, when all of them are on the disk."""
    note, staged, before = note_of(folder, file), folder / STAGED, written(folder, file)
    digests = {name: digest(content) for name, content in files.items()}
    listed = json.dumps({"made_of": made_of, "files": digests}).encode()
    shutil.rmtree(staged, ignore_errors=True)
    try:
        for name, content in (*files.items(), (note.name, listed)):
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).write_bytes(content)
        for name in before.keys() | digests.keys():
            _make_room(folder / name, before.get(name), digests.get(name))
        # The list first: who dies here leaves no file that nobody would know for the program's own.
        for name in (note.name, *files):
            (folder / name).parent.mkdir(exist_ok=True)
            (staged / name).replace(folder / name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _make_room(path: Path, before: str | None, after: str | None) -> None:
    """Remove what was written before and is no more; give what somebody else wrote or changed a name of its own."""
    if not os.path.lexists(path):
        return
    found = digest(path.read_bytes()) if path.is_file() and not path.is_symlink() else None
    if found is not None and found in {before, after}:
        if after is None:
            path.unlink()
    elif after is not None:
        kept, number = path.with_stem(f"{path.stem}.kept"), 1
        while os.path.lexists(kept):
            number += 1
            kept = path.with_stem(f"{path.stem}.kept-{number}")
        path.rename(kept)
        say(f"{path}: is not as vhbench wrote it; kept as {kept.name}")
