"""Small helpers for the texts that users read."""

import difflib
import re
from collections.abc import Iterable

from pydantic import ValidationError

LONGEST_SHOWN = 100
"""Characters of a wrong value that a message shows."""


def one_line(text: str) -> str:
    """`text` without line breaks, control characters, escape sequences or runs of spaces, safe for terminals."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())


def slug(name: str) -> str:
    """`name` as a file name and a table key: lower-case letters, digits, dots and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.") or "unnamed"


def closest(name: str, known: Iterable[str]) -> str:
    """A hint: the known names nearest to `name`, or all of them if none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"


def validation_message(error: ValidationError) -> str:
    """The first defect that pydantic found, in one line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"][:1].lower() + first["msg"][1:]
    given = first["input"]
    shown = f" (got {_shown(given)})" if isinstance(given, str | int | float | bool) else ""
    return f"{where}: {message}{shown}" if where else f"{message}{shown}"


def _shown(value: str | float) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
