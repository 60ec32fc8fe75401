"""Search results as a page that works from a file: a frame of every video, with distance and label."""

import base64
import hashlib
import io
from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from bench.base.processes import usable_cores
from bench.search.index import Index
from bench.search.lookup import Found
from bench.search.query import Queries

SIDE = 192
"""Pixels of a picture's sides."""


def page(index: Index, queries: Queries, found: Sequence[Found], query: str) -> str:
    """The whole page. Pictures are the middle frames of the videos that can still be found and decoded."""
    names = {hit.number: index.name_of(hit.number) for one in found for hit in one.hits}
    places = {name: _place(index, name) for name in names.values()}
    shown = queries.names[0] if len(queries.names) == 1 else None
    if shown is not None:
        places[shown] = Path(query) if queries.own is None else _place(index, shown)
    pictures = _pictures({name: path for name, path in places.items() if path is not None and path.is_file()})
    label = "" if queries.own is None else index.label_of(queries.own)
    style = (files(__package__) / "page.css").read_text(encoding="utf-8")
    template = (files(__package__) / "page.html").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        Environment(autoescape=True, undefined=StrictUndefined)
        .from_string(template)
        .render(
            style=Markup(style),
            style_hash=f"sha256-{digest}",
            sentence=f"{index.description.videos:,} videos, codes of {index.description.bits} bits, nearest first.",
            queries=[
                {
                    "name": name,
                    "picture": pictures.get(name),
                    "label": label,
                    "hits": [_shown(index, hit.number, hit.distance, label, pictures) for hit in one.hits],
                    "tied": one.tied,
                }
                for name, one in zip(queries.names, found, strict=True)
            ],
        )
    )


def _shown(index: Index, number: int, distance: int, wanted: str, pictures: dict[str, str]) -> dict[str, Any]:
    name, label = index.name_of(number), index.label_of(number)
    relevant = bool(set(wanted.split("; ")) & set(label.split("; ")))
    mark = ("hit" if relevant else "miss") if wanted and label else ""
    return {"name": name, "distance": distance, "label": label, "mark": mark, "picture": pictures.get(name)}


def _place(index: Index, name: str) -> Path | None:
    """The file of a video of the index, if the extraction says where it was."""
    if index.description.extraction is None or find_spec("av") is None:
        return None
    from bench.video.manifest import read_settings  # noqa: PLC0415  needs PyAV

    root = read_settings(Path(index.description.extraction)).root
    return None if root is None else Path(root) / name


def _pictures(videos: dict[str, Path]) -> dict[str, str]:
    """The middle frame of every video as a data address, by name; those that cannot be decoded have none."""
    if not videos or find_spec("av") is None:
        return {}
    from bench.video.decoding import Sampling, decoded  # noqa: PLC0415  needs PyAV
    from bench.video.preprocessing import Preprocessing  # noqa: PLC0415

    sampling = Sampling(frames=1, preprocessing=Preprocessing(resize=SIDE, crop=SIDE))
    names = list(videos)
    outcomes = decoded([videos[name] for name in names], sampling, usable_cores())
    return {names[one.number]: _address(one.pixels[0]) for one in outcomes if one.pixels is not None}


def _address(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image  # noqa: PLC0415  comes with PyAV's extra

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
