"""A document: blocks of Markdown, tables and plots, some of them folded; and all of them as Markdown."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from bench.report.escape import html, markdown
from bench.report.figures import Plot
from bench.report.tables import Facets, Table, to_markdown

TABLES, FIGURES = "tables", "figures"
"""Folders of the files that a document links to."""
FORMATS = ("pdf", "svg", "png", "csv")
"""Endings of the files of a figure."""


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


@dataclass(frozen=True)
class Part:
    """What is about one dataset, code length or protocol, or several: a reader of the page may leave it out."""

    about: Facets
    blocks: list["Block"]


Block = str | ShownTable | Plot | Folded | Part
"""Markdown, a table, a plot, or some of them folded or left out together."""


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
        return [block.table for block in _all(self.blocks) if isinstance(block, ShownTable)]

    @property
    def plots(self) -> list[Plot]:
        return [block for block in _all(self.blocks) if isinstance(block, Plot)]

    @property
    def parts(self) -> list[Facets]:
        """What its parts are about."""
        return [block.about for block in _all(self.blocks) if isinstance(block, Part)]

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
        with self._apart() as blocks:
            yield
        self.blocks.append(Folded(summary, blocks))

    @contextmanager
    def about(self, **facets: str) -> Iterator[None]:
        """Says what is added within is about: `dataset`, `bits` or `protocol`, several protocols one on a line."""
        with self._apart() as blocks:
            yield
        self.blocks.append(Part(facets, blocks))

    @contextmanager
    def _apart(self) -> Iterator[list[Block]]:
        """A list that gets what is added within."""
        outer, self.blocks = self.blocks, []
        try:
            yield self.blocks
        finally:
            self.blocks = outer


def _all(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks, each before those within it."""
    for block in blocks:
        yield block
        if isinstance(block, (Folded, Part)):
            yield from _all(block.blocks)


def _markdown(block: Block) -> list[str]:
    if isinstance(block, str):
        return [block]
    if isinstance(block, ShownTable):
        name = f"{TABLES}/{block.table.name}"
        return [to_markdown(replace(block.table, notes=block.notes)), f"[CSV]({name}.csv) · [LaTeX]({name}.tex)"]
    if isinstance(block, Plot):
        path = f"{FIGURES}/{block.name}"
        links = " · ".join(f"[{ending.upper()}]({path}.{ending})" for ending in FORMATS)
        return [f"![{markdown(block.name)}]({path}.svg)", f"*{markdown(block.caption)}* {links}"]
    if isinstance(block, Part):
        return [part for inner in block.blocks for part in _markdown(inner)]
    within = [part for inner in block.blocks for part in _markdown(inner)]
    return [f"<details><summary>{html(block.summary)}</summary>", *within, "</details>"]
