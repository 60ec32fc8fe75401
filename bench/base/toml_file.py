"""TOML files from users, refused before they can take unbounded time or memory."""

import codecs
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.base.errors import InputError
from bench.base.files import unreadable
from bench.base.text import message_of

LARGEST = 2**18
"""Bytes; a description takes some hundreds."""
# The reader's time grows with the square of the number of parts of a key.
MOST_DOTS = 100
# The longer marks first: UTF-32's begins like UTF-16's.
MARKED = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; InputError if it is invalid, unreadable or larger than 256 KiB."""
    if not path.is_file():
        reason = "not a file" if path.exists() else "no such file"
        raise InputError(f"{path}: cannot be read ({reason}); name a TOML file")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(content) > LARGEST:
        raise InputError(f"{path}: is larger than {LARGEST:,} bytes; write only the description to it")
    text = _decoded(content, path)
    if max((line.count(".") for line in text.splitlines()), default=0) > MOST_DOTS:
        raise InputError(f"{path}: holds a line with more than {MOST_DOTS} dots; write lists over several lines")
    try:
        return parse_toml(text)
    except RecursionError as error:
        raise InputError(f"{path}: not valid TOML (nested too deeply); lists and tables here are flat") from error
    except ValueError as error:  # no TOML, and numbers that are too long
        raise InputError(f"{path}: not valid TOML ({message_of(error)}); fix that line") from error


def _decoded(content: bytes, path: Path) -> str:
    """The text of a file in UTF-8, or in the encoding of its byte order mark."""
    encoding = next((name for mark, name in MARKED.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: is not {encoding.upper()} text (line {line}); save it as UTF-8") from error


def parse_toml(text: str) -> dict[str, Any]:
    """The content of a TOML text. Raises ValueError if it is invalid or has whole numbers of more than 64 bits.

    Python reads longer ones, and then cannot write them out in a message; TOML itself knows none. Raises RecursionError
    for what is nested too deeply.
    """
    content = tomllib.loads(text)
    for value in _values(content):
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError("a whole number of more than 64 bits")
    return content


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _values(part)
    else:
        yield value
