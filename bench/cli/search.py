"""`bench index`, `bench search` and `bench export`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.base.paths import named_path
from bench.cli.options import Plugins

if TYPE_CHECKING:
    from bench.search.index import Index
    from bench.search.lookup import Found
    from bench.search.query import Queries

Codes = Annotated[
    Path, typer.Argument(help="Codes that bench encode has written (.npy).", parser=named_path, metavar="CODES")
]


# Imports of the library are local, so that `bench --help` is fast: faiss and torch take seconds.
# ruff: noqa: PLC0415
def index(
    codes: Codes,
    out: Annotated[Path, typer.Option(help="Folder for the index.", parser=named_path, metavar="PATH")],
    add: Annotated[bool, typer.Option("--add", help="Add the codes to the index that is there.")] = False,
) -> int:
    """Make an index over codes: exact up to a million, then in lists, whose recall is measured."""
    from bench.base.text import say
    from bench.encoding.code_file import read_code_file
    from bench.search import index as indexes

    read = read_code_file(codes)
    made = indexes.add(read, out) if add else indexes.create(read, out)
    described = made.description
    how = "exact"
    if described.kind == "lists":
        how = f"lists, of which a query visits {described.visited}; recall@{indexes.NEIGHBOURS} {described.recall:.3f}"
    say(f"{out}: {described.videos:,} codes of {described.bits} bits; {how}")
    return 0


def search(
    index: Annotated[Path, typer.Argument(help="Folder of an index.", parser=named_path, metavar="INDEX")],
    query: Annotated[str, typer.Argument(help="A name in the index, a file of codes, or a feature file.")],
    k: Annotated[int | None, typer.Option("-k", min=1, help="The most results; default 10, with --radius all.")] = None,
    radius: Annotated[int | None, typer.Option(min=0, help="The largest Hamming distance.")] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(help="The encoder, if the index's has moved.", parser=named_path, metavar="PATH"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    plugin: Plugins = None,
) -> int:
    """Look up what is nearest to a query in an index."""
    from bench.registry import load_registry
    from bench.search.index import open_index
    from bench.search.lookup import look_up
    from bench.search.query import read_queries

    opened = open_index(index)
    queries = read_queries(query, opened, load_registry(plugin or []), encoder)
    found = look_up(opened, queries.codes, k or (10 if radius is None else None), radius, queries.own)
    print(_json(opened, queries, found) if as_json else "\n\n".join(_tables(opened, queries, found)))
    return 0


def _json(index: "Index", queries: "Queries", found: "list[Found]") -> str:
    return json.dumps(
        [
            {
                "query": name,
                "results": [{"id": index.name_of(hit.number), "distance": hit.distance} for hit in one.hits],
                "tied_and_left_out": one.tied,
            }
            for name, one in zip(queries.names, found, strict=True)
        ],
        indent=1,
        ensure_ascii=False,
    )


def _tables(index: "Index", queries: "Queries", found: "list[Found]") -> list[str]:
    from bench.base.text import one_line, text_table

    parts = []
    for name, one in zip(queries.names, found, strict=True):
        rows = [(rank, hit.distance, one_line(index.name_of(hit.number))) for rank, hit in enumerate(one.hits, 1)]
        shown = text_table(rows, headers=("rank", "distance", "id")) if rows else "nothing within the radius"
        tied = f"\n{one.tied} more at distance {one.hits[-1].distance} are left out" if one.tied else ""
        title = f"{one_line(name)}\n" if len(queries.names) > 1 else ""
        parts.append(f"{title}{shown}{tied}")
    return parts


def export(
    codes: Codes,
    to: Annotated[str, typer.Option(help="faiss, usearch or pgvector.")],
    out: Annotated[Path, typer.Option(help="The file to write.", parser=named_path, metavar="PATH")],
) -> int:
    """Write codes for another program that searches them."""
    from bench.base.text import say
    from bench.encoding.code_file import read_code_file
    from bench.search.export import export as write

    read = read_code_file(codes)
    write(read, to, out)
    say(f"{out}: {len(read.codes):,} codes of {read.codes.bits} bits for {to}")
    return 0
