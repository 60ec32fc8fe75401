"""TOML files that people bring, refused before they can take time or memory without end."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.errors import InputError
from bench.text import one_line

LARGEST = 2**18
"""Bytes; what is described takes some hundreds."""
# The reader's time grows with the square of the number of parts of a key.
MOST_DOTS = 100


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; InputError if it is none, cannot be read, or is larger than 256 KiB."""
    if not path.is_file():
        raise InputError(f"{path}: cannot be read (no such file); name a TOML file")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a TOML file") from error
    if len(content) > LARGEST:
        raise InputError(f"{path}: is larger than {LARGEST:,} bytes; write only what it describes into it")
    text = content.decode(errors="replace")
    if max((line.count(".") for line in text.splitlines()), default=0) > MOST_DOTS:
        raise InputError(f"{path}: holds a line with more than {MOST_DOTS} dots; write lists over several lines")
    try:
        return parse_toml(content.decode())
    except RecursionError as error:
        raise InputError(f"{path}: not valid TOML (nested too deeply); lists and tables here are flat") from error
    except ValueError as error:  # text that is not UTF-8, no TOML, and numbers that are too long
        raise InputError(f"{path}: not valid TOML ({one_line(str(error))[:200]}); mend that line") from error


def parse_toml(text: str) -> dict[str, Any]:
    """The content of a TOML text. Raises ValueError if it is none or has whole numbers of more than 64 bits.

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
