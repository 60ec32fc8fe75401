"""Methods that the literature has numbers of and that cannot be run here, with the reasons."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from bench.base.text import slug


@dataclass(frozen=True)
class PublishedOnly:
    """A method that is not here: its name in the literature, its paper (may be empty), and why."""

    method: str
    paper: str
    why: str


@cache
def published_only() -> dict[str, PublishedOnly]:
    """All of them, by their names in lower case."""
    text = (files("bench.results") / "published" / "published_only.csv").read_text(encoding="utf-8")
    return {slug(row["method"]): PublishedOnly(**row) for row in csv.DictReader(text.splitlines())}
