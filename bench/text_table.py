"""Tables for people: as wide as they are in files and pipes, one record below the other on a narrow terminal."""

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from tabulate import tabulate

NARROWEST = 20
"""Characters of a line that is folded, at least."""
WIDEST = 110
"""Characters of a line of sentences, at most."""


def text_table(rows: Sequence[Sequence[object]], headers: Sequence[str] = (), **layout: Any) -> str:
    """The rows as `tabulate` lays them out, if the terminal has room for that; numbers are texts already."""
    table = tabulate(rows, headers=headers, disable_numparse=True, **layout)
    width = _terminal_width()
    if width is None or max(map(cell_len, table.splitlines()), default=0) <= width:
        return table
    titles = [" ".join(header.replace("-\n", "-").split()) for header in headers]
    return "\n\n".join(_record(titles, list(map(str, row)), max(width, NARROWEST)) for row in rows)


def folded(sentence: str) -> str:
    """A sentence as an indented paragraph, no wider than the terminal."""
    width = min(_terminal_width() or WIDEST, WIDEST)
    return textwrap.fill(sentence, max(width, NARROWEST), initial_indent="  ", subsequent_indent="    ")


def _terminal_width() -> int | None:
    """Characters a line; None for files and pipes, whose lines may be of any length."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def _record(titles: Sequence[str], cells: Sequence[str], width: int) -> str:
    """A line for every cell that holds something: its title and what it holds, folded."""
    lines = [f"{title}: {cell}" for title, cell in zip(titles, cells, strict=True) if cell] if titles else [
        ": ".join(cells)
    ]  # fmt: skip
    return "\n".join(textwrap.fill(line, width, subsequent_indent="  ", break_on_hyphens=False) for line in lines)
