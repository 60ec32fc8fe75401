"""One table, three formats: Markdown, LaTeX (booktabs) and CSV."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from tabulate import tabulate

from bench.report import escape

NOTHING = "–"


@dataclass(frozen=True)
class Cell:
    """What a table cell shows; `mark` is raised behind it and explained in a note.

    Bold is best of the measured ones, italic is not measured here.
    """

    text: str
    bold: bool = False
    italic: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table for readers, with the numbers behind it in full precision.

    Attributes:
        name: of its files, without the ending.
        caption: one sentence; the LaTeX caption.
        header: column titles.
        rows: plain text, escaped only when rendered.
        words: titles of the columns that hold words, set flush left; the first column always is.
        notes: sentences for the foot of the table.
        frame: what the CSV file holds.
    """

    name: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    frame: pd.DataFrame
    words: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def alignment(self) -> list[str]:
        """`left` or `right` for every column."""
        return ["left" if not index or title in self.words else "right" for index, title in enumerate(self.header)]


def to_markdown(table: Table) -> str:
    """The table and its notes, for `report.md`."""

    def show(cell: Cell) -> str:
        text = escape.markdown(cell.text)
        text = f"**{text}**" if cell.bold else text
        text = f"*{text}*" if cell.italic else text
        return f"{text}<sup>{escape.markdown(cell.mark)}</sup>" if cell.mark else text

    body = tabulate(
        [[show(cell) for cell in row] for row in table.rows],
        headers=[escape.markdown(title) for title in table.header],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=table.alignment,
    )
    return "\n\n".join([body, *(escape.markdown(note) for note in table.notes)])


def to_latex(table: Table) -> str:
    """The table as a LaTeX float with booktabs rules."""

    def show(cell: Cell) -> str:
        text = escape.latex(cell.text)
        text = rf"\textbf{{{text}}}" if cell.bold else text
        text = rf"\textit{{{text}}}" if cell.italic else text
        return rf"{text}\textsuperscript{{{escape.latex(cell.mark)}}}" if cell.mark else text

    columns = "".join(side[0] for side in table.alignment)
    notes = r" \par ".join(escape.latex(note) for note in table.notes)
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape.latex(table.caption)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(escape.latex(title) for title in table.header) + r" \\",
        r"\midrule",
        *(" & ".join(show(cell) for cell in row) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        *([rf"\par\smallskip\begin{{minipage}}{{\linewidth}}\footnotesize {notes}\end{{minipage}}"] if notes else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def to_csv(frame: pd.DataFrame) -> str:
    """A frame as CSV with full precision and line feeds on every system."""
    return frame.to_csv(index=False, lineterminator="\n")


def number(mean: float, std: float = float("nan"), decimals: int = 3) -> str:
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
