"""`bench index`, `bench search` and `bench export`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.base.errors import InputError
from bench.base.paths import named_path
from bench.cli.options import Device, Plugins

if TYPE_CHECKING:
    from bench.search.index import Index
    from bench.search.lookup import Found, Hit
    from bench.search.query import Queries

PAGE = b"<title>Search results</title>"
"""In every page of results, near the beginning."""
Codes = Annotated[
    Path, typer.Argument(help="Codes that bench encode has written (.npy).", parser=named_path, metavar="CODES")
]


# Imports of the library are local, so that `bench --help` is fast: faiss and torch take seconds.
# ruff: noqa: PLC0415
def index(
    codes: Annotated[
        Path,
        typer.Argument(
            help="Codes that bench encode has written (.npy), or a folder of videos, which is encoded first.",
            parser=named_path,
            metavar="CODES",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the index.", parser=named_path, metavar="PATH")],
    add: Annotated[bool, typer.Option("--add", help="Add the codes to the index that is there.")] = False,
    device: Device = "auto",
) -> int:
    """Make an index over codes: exact up to a million, then in lists, whose recall is measured."""
    from bench.base.text import say
    from bench.encoding.code_file import read_code_file
    from bench.search import index as indexes

    if codes.is_dir():
        made = _of_videos(codes, out, device)
    else:
        read = read_code_file(codes)
        made = indexes.add(read, out) if add else indexes.create(read, out)
    described = made.description
    how = "exact"
    if described.kind == "lists":
        how = f"lists, of which a query visits {described.visited}; recall@{indexes.NEIGHBOURS} {described.recall:.3f}"
    say(f"{out}: {described.videos:,} codes of {described.bits} bits; {how}")
    return 0


def search(
    index: Annotated[
        Path,
        typer.Argument(
            help="Folder of an index, or of videos: their index is made first, in the working folder.",
            parser=named_path,
            metavar="INDEX",
        ),
    ],
    query: Annotated[str, typer.Argument(help="A name in the index, a file of codes, a feature file, or a video.")],
    k: Annotated[int | None, typer.Option("-k", min=1, help="The most results; default 10, with --radius all.")] = None,
    radius: Annotated[int | None, typer.Option(min=0, help="The largest Hamming distance.")] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(help="The encoder, if the index's has moved.", parser=named_path, metavar="PATH"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    page: Annotated[
        Path | None,
        typer.Option(help="Also write a page with a frame of every video, .html.", parser=named_path, metavar="PATH"),
    ] = None,
    device: Device = "auto",
    plugin: Plugins = None,
) -> int:
    """Look up what is nearest to a query in an index."""
    from bench.base.text import say
    from bench.registry import load_registry
    from bench.search.index import DESCRIPTION, open_index
    from bench.search.lookup import look_up
    from bench.search.query import read_queries

    if page is not None:
        _require_page(page)
    if index.is_dir() and not (index / DESCRIPTION).exists():
        opened = _of_videos(index, Path(f"{index.resolve().name}.index"), device, query)
    else:
        opened = open_index(index)
    queries = read_queries(query, opened, load_registry(plugin or []), encoder)
    found = look_up(opened, queries.codes, k or (10 if radius is None else None), radius, queries.own)
    if page is not None:
        from bench.base.atomic import write_file
        from bench.search.page import page as rendered

        write_file(page, rendered(opened, queries, found).encode())
        say(f"{page}: open it in a browser")
    print(_json(opened, queries, found) if as_json else "\n\n".join(_tables(opened, queries, found)))
    return 0


def _of_videos(folder: Path, out: Path, device: str, query: str | None = None) -> "Index":
    """The index of a folder of videos, made if it is not there. Raises InputError if nothing has the query's name."""
    from bench.base.progress import progress
    from bench.base.text import say
    from bench.encoding.fitting import choose_device
    from bench.video import require_decoder
    from bench.video.sources import in_folder

    try:
        videos = in_folder(folder, mixed=True)
    except InputError as error:
        raise InputError(f"{error}; nor does it hold an index, which bench index makes") from error
    require_decoder()
    if query is not None and not Path(query).is_file() and query not in {video.name for video in videos.videos}:
        raise InputError(f"{query}: neither a file nor a video in {folder}; name one")

    from bench.search.videos import index_videos

    return index_videos(videos, out, choose_device(device), progress(), say)


def _require_page(page: Path) -> None:
    """InputError unless a page can be written there, in place of nothing or of an earlier one."""
    ours = page.is_file() and PAGE in page.read_bytes()[:1000]
    if page.suffix != ".html" or not page.parent.is_dir() or (page.exists() and not ours):
        raise InputError(f"--page {page}: is no new .html file in a folder, nor an earlier page; name another")


def _json(index: "Index", queries: "Queries", found: "list[Found]") -> str:
    return json.dumps(
        [
            {
                "query": name,
                "results": [_result(index, hit) for hit in one.hits],
                "tied_and_left_out": one.tied,
            }
            for name, one in zip(queries.names, found, strict=True)
        ],
        indent=1,
        ensure_ascii=False,
    )


def _result(index: "Index", hit: "Hit") -> dict[str, object]:
    named = {"label": label} if (label := index.label_of(hit.number)) else {}
    return {"id": index.name_of(hit.number), "distance": hit.distance, **named}


def _tables(index: "Index", queries: "Queries", found: "list[Found]") -> list[str]:
    from bench.base.text import one_line, text_table

    parts = []
    for name, one in zip(queries.names, found, strict=True):
        rows = [
            (rank, hit.distance, one_line(index.name_of(hit.number)), one_line(index.label_of(hit.number)))
            for rank, hit in enumerate(one.hits, 1)
        ]
        width = 4 if index.description.labels else 3
        shown = "nothing within the radius"
        if rows:
            shown = text_table([row[:width] for row in rows], headers=("rank", "distance", "id", "label")[:width])
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
