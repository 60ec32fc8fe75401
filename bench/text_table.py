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


def text_table(rows: Sequence[Sequence[object]], headers: Sequence[str] = (), **layout: Any) -> str:
    """The rows as `tabulate` lays them out, if the terminal has room for that; numbers are texts already."""
    table = tabulate(rows, headers=headers, disable_numparse=True, **layout)
    if sys.stdout is None or not sys.stdout.isatty():
        return table
    width = shutil.get_terminal_size().columns
    if max(map(cell_len, table.splitlines()), default=0) <= width:
        return table
    titles = [" ".join(header.replace("-\n", "-").split()) for header in headers]
    return "\n\n".join(_record(titles, list(map(str, row)), max(width, NARROWEST)) for row in rows)


def _record(titles: Sequence[str], cells: Sequence[str], width: int) -> str:
    """A line for every cell that holds something: its title and what it holds, folded."""
    lines = [f"{title}: {cell}" for title, cell in zip(titles, cells, strict=True) if cell] if titles else [
        ": ".join(cells)
    ]  # fmt: skip
    return "\n".join(textwrap.fill(line, width, subsequent_indent="  ", break_on_hyphens=False) for line in lines)
