"""Tables declared by their columns, shown as Markdown, LaTeX (booktabs), CSV and plain text."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Self

import pandas as pd
from tabulate import tabulate

from bench.base.text import one_line, text_table
from bench.report import escape

Row = Mapping[Any, Any]
"""The values that the cells of a table row are made from, by name."""
NOTHING = "–"
Facets = Mapping[str, str]
"""What something is about, by kind: `method`, `dataset`, `bits`, `protocol` or `metric`. Readers of a page may leave it
out by that."""


@dataclass(frozen=True)
class Cell:
    """A table cell; `mark` is raised behind the text and explained in a note, `link` is where a page's text leads.

    Bold is the best of the measured ones, italic is not measured here.
    """

    text: str
    bold: bool = False
    italic: bool = False
    mark: str = ""
    link: str = ""


@dataclass(frozen=True)
class Column:
    """A table column.

    Attributes:
        title: its heading.
        value: makes its cell from a row.
        when: whether it is shown, given all rows. A column without text in any cell never is.
        words: it holds words and is set flush left, as the first column always is.
        group: a heading above its own, which it shares with its neighbours of the same group.
        about: what its values are about.
    """

    title: str
    value: Callable[[Row], Cell | str]
    when: Callable[[Sequence[Row]], bool] = lambda rows: True
    words: bool = False
    group: str = ""
    about: Facets = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table for readers, with the numbers behind it in full precision.

    Attributes:
        name: of its files, without the ending.
        caption: one sentence; the LaTeX caption.
        header: column titles.
        rows: plain text, escaped only when rendered.
        frame: the content of the CSV file.
        words: titles of the columns that are set flush left; the first column always is.
        notes: sentences for the foot of the table.
        groups: the headings above the column titles, one for each column; empty where there are none.
        about: what each column is about; empty where nothing is said.
        rows_about: what each row is about; likewise.
    """

    name: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    frame: pd.DataFrame
    words: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    about: tuple[Facets, ...] = ()
    rows_about: tuple[Facets, ...] = ()

    @classmethod
    def of(
        cls,
        columns: Iterable[Column],
        rows: Sequence[Row],
        *,
        name: str = "",
        caption: str = "",
        frame: pd.DataFrame | None = None,
        notes: Iterable[str] = (),
    ) -> Self:
        """The table of these rows, with the columns that have something to show.

        Args:
            frame: the content of the CSV file; `rows` themselves by default.
            notes: as of the class; empty ones are dropped.
        """
        filled = [(column, [_cell(column.value(row)) for row in rows]) for column in columns if column.when(rows)]
        shown = [(column, cells) for column, cells in filled if any(cell.text for cell in cells)]
        return cls(
            name,
            caption,
            header=[column.title for column, _ in shown],
            rows=list(zip(*(cells for _, cells in shown), strict=True)),
            frame=pd.DataFrame(rows) if frame is None else frame,
            words=frozenset(column.title for column, _ in shown if column.words),
            notes=tuple(filter(None, notes)),
            about=tuple(column.about for column, _ in shown),
            rows_about=tuple(map(_about, rows)),
            groups=tuple(column.group for column, _ in shown) if any(column.group for column, _ in shown) else (),
        )

    @property
    def spans(self) -> list[tuple[str, int]]:
        """The headings above the column titles, each with the number of its columns."""
        return [(group, len(list(same))) for group, same in groupby(self.groups)]

    @property
    def alignment(self) -> list[str]:
        """`left` or `right` for every column."""
        return ["left" if not index or title in self.words else "right" for index, title in enumerate(self.header)]


def several_machines(rows: Sequence[Row]) -> bool:
    """Whether the rows were measured on several machines, whose times do not compare."""
    return len({row["machine"] for row in rows if not pd.isna(row["machine"])}) > 1


def one_machine(rows: Sequence[Row]) -> bool:
    """Whether times may stand in one column."""
    return not several_machines(rows)


def several_seeds(rows: Sequence[Row]) -> bool:
    """Whether any row is a mean over several seeds."""
    return any(row["seeds"] > 1 for row in rows)


METHOD = Column("method", lambda row: row["method"], words=True)
BITS = Column("bits", lambda row: str(row["bits"]))
MACHINE = Column("machine", lambda row: word(row["machine"]), when=several_machines, words=True)
SEEDS = Column("seeds", lambda row: number(row["seeds"], decimals=0), when=several_seeds)


def text_column(title: str, name: str, words: bool = False) -> Column:
    """A column of what rows hold under `name`, as text."""
    return Column(title, lambda row: str(row[name]), words=words)


def note_column(notes: Mapping[tuple[str, int], str]) -> Column:
    """The reasons why rows have no result, or not that of every seed; `notes` by method and code length."""
    return Column("note", lambda row: notes.get((row["method"], row["bits"]), ""), words=True)


def rows_for(keys: Iterable[tuple[str, int]], frame: pd.DataFrame) -> list[Row]:
    """The frame's rows for each method and code length in turn; one without values where the frame has none."""
    found: dict[tuple[str, int], list[Row]] = {}
    for row in frame.to_dict("records"):
        found.setdefault((row["method"], row["bits"]), []).append(row)
    blank = dict.fromkeys(frame.columns, math.nan)
    return [
        row
        for method, bits in keys
        for row in found.get((method, bits), [{**blank, "method": method, "bits": bits}])
    ]  # fmt: skip


def best_as_shown(values: pd.Series, groups: Sequence[pd.Series], decimals: int) -> pd.Series:
    """Whether a value, as shown with so many decimals, is the highest of its group; a missing value never is."""
    shown = values.map(lambda value: float(f"{value:.{decimals}f}"))
    return shown == shown.groupby(list(groups)).transform("max")


def to_markdown(table: Table) -> str:
    """The table and, below it, its notes, each on a line of its own."""

    def show(cell: Cell) -> str:
        text = escape.markdown(cell.text)
        text = f"**{text}**" if cell.bold else text
        text = f"*{text}*" if cell.italic else text
        return f"{text}<sup>{escape.markdown(cell.mark)}</sup>" if cell.mark else text

    body = tabulate(
        [[show(cell) for cell in row] for row in table.rows],
        headers=[
            escape.markdown(" ".join(filter(None, parts)))
            for parts in zip(table.groups or [""] * len(table.header), table.header, strict=True)
        ],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=table.alignment,
    )
    return "\n\n".join(filter(None, [body, "<br>\n".join(map(escape.markdown, table.notes))]))


def to_latex(table: Table) -> str:
    """The table as a LaTeX float with booktabs rules, made smaller where it is larger than the page."""

    def show(cell: Cell) -> str:
        text = escape.latex(cell.text)
        text = rf"\textbf{{{text}}}" if cell.bold else text
        text = rf"\textit{{{text}}}" if cell.italic else text
        return rf"{text}\textsuperscript{{{escape.latex(cell.mark)}}}" if cell.mark else text

    columns = "".join(side[0] for side in table.alignment)
    notes = r" \par ".join(map(escape.latex, table.notes))
    lines = [
        r"% needs \usepackage{booktabs,adjustbox}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape.latex(table.caption)}}}",
        rf"\label{{tab:{table.name}}}",
        r"\begin{adjustbox}{max totalsize={\linewidth}{0.75\textheight}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *_spans(table),
        " & ".join(map(escape.latex, table.header)) + r" \\",
        r"\midrule",
        *(" & ".join(map(show, row)) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{adjustbox}",
        *([rf"\par\smallskip\begin{{minipage}}{{\linewidth}}\footnotesize {notes}\end{{minipage}}"] if notes else []),
        r"\end{table}",
    ]
    others = "".join(sorted({character for line in lines for character in line if not character.isascii()}))
    if others:
        lines.insert(1, f"% if pdfLaTeX lacks any of {others}: LuaLaTeX or XeLaTeX, with a font that has it")
    return "\n".join(lines) + "\n"


def _spans(table: Table) -> list[str]:
    """The line of headings above the column titles, and the rules below these."""
    if not table.groups:
        return []
    headings, rules, column = [], [], 1
    for group, count in table.spans:
        headings.append(rf"\multicolumn{{{count}}}{{c}}{{{escape.latex(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{column}-{column + count - 1}}}")
        column += count
    return [" & ".join(headings) + r" \\", "".join(rules)]


def to_csv(frame: pd.DataFrame) -> str:
    """A frame as CSV with full precision and line feeds on every system."""
    return frame.to_csv(index=False, lineterminator="\n")


def to_text(table: Table, header_width: int | None = None) -> str:
    """The table, without its notes, for the terminal; headings are folded at `header_width`."""
    rows = [[one_line(cell.text) + (f" ({cell.mark})" if cell.mark else "") for cell in row] for row in table.rows]
    return text_table(rows, list(table.header), colalign=table.alignment, maxheadercolwidths=header_width)


def number(mean: float, std: float = math.nan, decimals: int = 3) -> str:
    """`0.512`, or `0.512 ± 0.004` where there is a standard deviation; a dash where there is no value."""
    if math.isnan(mean):
        return NOTHING
    shown = f"{mean:,.{decimals}f}"
    return shown if math.isnan(std) else f"{shown} ± {std:,.{decimals}f}"


def significant_decimals(value: float) -> int:
    """Decimals that show three significant digits of `value`, at most six."""
    if math.isnan(value) or value == 0:
        return 0
    return min(6, max(0, 2 - math.floor(math.log10(abs(value)))))


def significant(mean: float, std: float = math.nan) -> str:
    """Three significant digits."""
    return number(mean, std, significant_decimals(mean))


def percent(share: float) -> str:
    """Three significant digits of a share; a dash where there is no value."""
    return NOTHING if math.isnan(share) else f"{significant(100 * share)} %"


def word(value: Any) -> str:
    """A word of a row; a dash where there is none."""
    return NOTHING if pd.isna(value) else str(value)


def _about(row: Row) -> Facets:
    known = {kind: row.get(kind) for kind in ("method", "dataset", "bits")}
    return {kind: str(value) for kind, value in known.items() if isinstance(value, (str, int))}


def _cell(shown: Cell | str) -> Cell:
    return shown if isinstance(shown, Cell) else Cell(shown)
