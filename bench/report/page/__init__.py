"""The report as one page that works from a file: the blocks of a document as HTML, without any request to a network."""

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

from jinja2 import Environment, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from bench.base.text import slug
from bench.report.chart import DEFINITIONS
from bench.report.document import FORMATS, Block, Document, Folded, Part, ShownTable
from bench.report.figures import Plot
from bench.report.tables import METHOD, Facets, Table

FILTERS = {"method": "Methods", "bits": "Bits", "dataset": "Datasets", "protocol": "Protocols", "metric": "Metrics"}
"""What can be left out, with its heading."""


def page(document: Document, charts: Sequence[str]) -> str:
    """The whole page. `charts` are those of the document's plots, in order, by `bench.report.chart`."""
    template, style, script = _source("page.html"), _source("page.css"), _source("page.js")
    rest = iter(charts)
    blocks = [shown for block in document.blocks if (shown := _shown(block, rest))]
    title = re.search(r"^# (.+)$", document.text, re.MULTILINE)
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(template).render(
        title=_plain(title.group(1)) if title else "vhbench",
        blocks=blocks,
        formats=FORMATS,
        marks=Markup(DEFINITIONS),
        filters=[(kind, name, values) for kind, name in FILTERS.items() if len(values := _values(document, kind)) > 1],
        style=Markup(style),
        style_hash=_digest(style),
        script=Markup(script),
        script_hash=_digest(script),
    )


def _shown(block: Block, charts: Any) -> dict[str, Any] | None:
    """The values that the template shows of a block; None for a comment of Markdown."""
    if isinstance(block, (Folded, Part)):
        blocks = [shown for inner in block.blocks if (shown := _shown(inner, charts))]
        if isinstance(block, Folded):
            return {"kind": "folded", "summary": block.summary, "blocks": blocks}
        return {"kind": "part", "about": _attributes(block.about), "blocks": blocks}
    if isinstance(block, Plot):
        chart = Markup(next(charts))
        return {"kind": "plot", "name": block.name, "caption": block.caption, "banner": block.banner, "chart": chart}
    if isinstance(block, ShownTable):
        return {"kind": "table", "notes": block.notes, **_table(block.table)}
    return None if block.startswith("<!--") else {"kind": "text", "html": Markup(_html(block))}


def _table(table: Table) -> dict[str, Any]:
    rows = list(zip(table.rows_about or [{}] * len(table.rows), table.rows, strict=True))
    # Among methods other rows, such as a ceiling, stay below when they are sorted.
    methods = [(about, row) for about, row in rows if "method" in about]
    return {
        "name": table.name,
        "caption": table.caption,
        "spans": table.spans,
        "header": list(zip(map(_attributes, table.about or [{}] * len(table.header)), table.header, strict=True)),
        "rows": [(_attributes(about), row) for about, row in methods or rows],
        "feet": [row for about, row in rows if methods and "method" not in about],
        "sides": table.alignment,
    }


def _attributes(about: Facets) -> dict[str, str]:
    """Facets as attributes of an element."""
    return {f"data-{kind}": value for kind, value in about.items()}


def _values(document: Document, kind: str) -> list[str]:
    """What a reader can leave out by one kind of facets, in order; code lengths ascending.

    A part may be about several protocols, one on a line.
    """
    facets: list[Facets] = []
    for table in document.tables:
        facets += table.about
        # Other tables have names that are no method's here.
        facets += table.rows_about if table.header[0] == METHOD.title else ()
    values = [about[kind] for about in (*facets, *document.parts) if kind in about]
    found = dict.fromkeys(one for value in values for one in (value.split("\n") if kind == "protocol" else [value]))
    return sorted(found, key=lambda value: (len(value), value)) if kind == "bits" else list(found)


def _html(text: str) -> str:
    """Markdown as HTML, in which no HTML of the text's own is kept; headings have the names that GitHub gives them."""
    tokens = _markdown().parse(text)
    for token, inner in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", slug(_plain(inner.content)))
    return str(_markdown().renderer.render(tokens, _markdown().options, {}))


def _plain(text: str) -> str:
    """The text of a line of Markdown."""
    (line,) = _markdown().parseInline(text)
    return "".join(token.content for token in line.children or [])


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


@cache
def _source(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
