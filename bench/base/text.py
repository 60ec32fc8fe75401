"""Text for people: single lines, lists, close names, tables, and messages on standard error."""

import difflib
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError
from rich.cells import cell_len
from tabulate import tabulate

LONGEST_SHOWN = 100
"""Characters of a wrong value that a message shows."""
LONGEST_REASON = 200
"""Characters of a library's message within a message."""
NARROWEST = 20
"""Fewest characters of a folded line."""
WIDEST = 110
"""Most characters of a line of prose."""


def one_line(text: str) -> str:
    """`text` without line breaks, control characters, escape sequences or runs of spaces, safe for terminals."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())


def message_of(error: BaseException) -> str:
    """An error's message in one line of at most 200 characters, for a part of a message."""
    return one_line(str(error))[:LONGEST_REASON]


def shown(value: object) -> str:
    """`value` in one short line for a message, even if its `repr` fails."""
    try:
        text = one_line(repr(value))
    except Exception:  # a class may fail in this, and Python itself with numbers of thousands of digits
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def duration(seconds: float) -> str:
    """A readable time: `45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def slug(name: str) -> str:
    """`name` as a file name and a table key: lower-case letters of any script, digits, dots and dashes."""
    # Composed, so that one name is one file name on every system; marks are parts of letters in many scripts.
    composed = unicodedata.normalize("NFC", name).lower()
    kept = "".join(char if char == "." or unicodedata.category(char)[0] in "LMN" else " " for char in composed)
    return "-".join(kept.split()).strip("-.") or "unnamed"


def closest(name: str, known: Iterable[str]) -> str:
    """A hint: the known names nearest to `name`, or all of them if none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"


def validation_message(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """The first defect that pydantic found, in one line; `model` adds the nearest known key to an unknown one."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys(model, first["loc"][:-1])
        hint = f"; {closest(str(first['loc'][-1]), known)}" if known else ""
        return f"{where}: unknown key{hint}"
    message = first["msg"][:1].lower() + first["msg"][1:]
    given = first["input"]
    got = f" (got {shown(given)})" if isinstance(given, str | int | float | bool) else ""
    return f"{where}: {message}{got}" if where else f"{message}{got}"


def contradiction(what: str, stored: object, expected: str) -> PydanticCustomError:
    """A validation error: the stored value, and the value that the rest of the record implies."""
    parts = {"what": what, "stored": one_line(str(stored)), "expected": expected}
    return PydanticCustomError("contradiction", "{what} is stored as {stored}; expected {expected}", parts)


def _keys(model: Any, place: Iterable[int | str]) -> list[str]:
    """The keys of a model at a place within it; none where that is no model."""
    for part in place:
        model = model.model_fields[str(part)].annotation if _is_model(model) else None
    return list(model.model_fields) if _is_model(model) else []


def _is_model(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, BaseModel)


def text_table(rows: Sequence[Sequence[object]], headers: Sequence[str] = (), **layout: Any) -> str:
    """The rows as a table if the terminal is wide enough, else as records; cells are formatted already."""
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
    """A folded line with title and content for every cell that is not empty."""
    lines = [f"{title}: {cell}" for title, cell in zip(titles, cells, strict=True) if cell] if titles else [
        ": ".join(cells)
    ]  # fmt: skip
    return "\n".join(textwrap.fill(line, width, subsequent_indent="  ", break_on_hyphens=False) for line in lines)


def say(line: str) -> None:
    """Write a one-line message to standard error, without control characters that files may have put in it."""
    if sys.stderr is not None:
        # In one call: print writes the line and its end separately, and other threads write too.
        with suppress(OSError, ValueError):  # a message that cannot be shown must not end a run
            sys.stderr.write(f"{one_line(line)}\n")
            sys.stderr.flush()
