"""Search results as a page that works from a file: a frame of every video, with distance and label."""

import base64
import hashlib
import io
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from bench.base.processes import usable_cores
from bench.search.index import Index
from bench.search.lookup import Found
from bench.search.query import Queries, root_of
from bench.video import can_decode

SIDE = 192
"""Pixels of a picture's sides."""


def page(index: Index, queries: Queries, found: Sequence[Found]) -> str:
    """The whole page. Pictures are the middle frames of the videos that can still be found and decoded."""
    root = root_of(index.description.extraction)
    numbers = {hit.number for one in found for hit in one.hits}
    places = {number: root / index.name_of(number) for number in numbers} if root is not None else {}
    pictures = _pictures({path for path in (*places.values(), *queries.videos) if path is not None and path.is_file()})
    style = (files(__package__) / "page.css").read_text(encoding="utf-8")
    template = (files(__package__) / "page.html").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    def shown(number: int, distance: int, wanted: str) -> dict[str, Any]:
        label = index.label_of(number)
        relevant = bool(set(wanted.split("; ")) & set(label.split("; ")))
        return {
            "name": index.name_of(number),
            "distance": distance,
            "label": label,
            "mark": ("hit" if relevant else "miss") if wanted and label else "",
            "picture": pictures.get(places.get(number)),
        }

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
                    "picture": pictures.get(video),
                    "label": label,
                    "hits": [shown(hit.number, hit.distance, label) for hit in one.hits],
                    "tied": one.tied,
                }
                for name, label, video, one in zip(queries.names, queries.labels, queries.videos, found, strict=True)
            ],
        )
    )


def _pictures(videos: set[Path]) -> dict[Path | None, str]:
    """The middle frame of every video as a data address, by its path; those that cannot be decoded have none."""
    if not videos or not can_decode():
        return {}
    from bench.video.decoding import Sampling, decoded  # noqa: PLC0415  needs PyAV
    from bench.video.preprocessing import Preprocessing  # noqa: PLC0415

    sampling = Sampling(frames=1, preprocessing=Preprocessing(resize=SIDE, crop=SIDE))
    paths = sorted(videos)
    outcomes = decoded(paths, sampling, usable_cores())
    return {paths[one.number]: _address(one.pixels[0]) for one in outcomes if one.pixels is not None}


def _address(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image  # noqa: PLC0415  comes with PyAV's extra

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
