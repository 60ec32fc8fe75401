"""Small helpers for the texts that users read."""

import difflib
import unicodedata
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

LONGEST_SHOWN = 100
"""Characters of a wrong value that a message shows."""


def one_line(text: str) -> str:
    """`text` without line breaks, control characters, escape sequences or runs of spaces, safe for terminals."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())


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
    """The first defect that pydantic found, in one line; with the `model` an unknown key is told the nearest known."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys(model, first["loc"][:-1])
        hint = f"; {closest(str(first['loc'][-1]), known)}" if known else ""
        return f"{where}: unknown key{hint}"
    message = first["msg"][:1].lower() + first["msg"][1:]
    given = first["input"]
    shown = f" (got {_shown(given)})" if isinstance(given, str | int | float | bool) else ""
    return f"{where}: {message}{shown}" if where else f"{message}{shown}"


def contradiction(what: str, stored: object, expected: str) -> PydanticCustomError:
    """An error of validation: what is stored, and what the rest of the record says."""
    parts = {"what": what, "stored": one_line(str(stored)), "expected": expected}
    return PydanticCustomError("contradiction", "{what} is stored as {stored}; expected {expected}", parts)


def _keys(model: Any, place: Iterable[int | str]) -> list[str]:
    """The keys that a model knows at a place within it; none where that is no model."""
    for part in place:
        model = model.model_fields[str(part)].annotation if _is_model(model) else None
    return list(model.model_fields) if _is_model(model) else []


def _is_model(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, BaseModel)


def _shown(value: str | float) -> str:
    try:
        text = repr(value)
    except ValueError:  # a number of thousands of digits
        return "a number too long to show"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
