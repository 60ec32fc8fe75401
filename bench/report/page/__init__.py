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
from bench.report.document import FORMATS, Block, Document, Folded, ShownTable
from bench.report.figures import Plot
from bench.report.tables import METHOD, Cell, Table


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
        methods=list(dict.fromkeys(row[0].text for table in document.tables for row in _methods(table))),
        style=Markup(style),
        style_hash=_digest(style),
        script=Markup(script),
        script_hash=_digest(script),
    )


def _shown(block: Block, charts: Any) -> dict[str, Any] | None:
    """The values that the template shows of a block; None for a comment of Markdown."""
    if isinstance(block, Folded):
        blocks = [shown for inner in block.blocks if (shown := _shown(inner, charts))]
        return {"kind": "folded", "summary": block.summary, "blocks": blocks}
    if isinstance(block, Plot):
        chart = Markup(next(charts))
        return {"kind": "plot", "name": block.name, "caption": block.caption, "banner": block.banner, "chart": chart}
    if isinstance(block, ShownTable):
        table, methods = block.table, _methods(block.table)
        return {
            "kind": "table", "name": table.name, "caption": table.caption, "header": table.header,
            "rows": methods or table.rows, "feet": [row for row in table.rows if methods and row not in methods],
            "sides": table.alignment, "spans": table.spans, "notes": block.notes,
        }  # fmt: skip
    return None if block.startswith("<!--") else {"kind": "text", "html": Markup(_html(block))}


def _methods(table: Table) -> Sequence[Sequence[Cell]]:
    """The rows of a table that are of methods."""
    return [row for row in table.rows if table.header[0] == METHOD.title and not row[0].italic]


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
