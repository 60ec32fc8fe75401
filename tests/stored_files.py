"""Codes and an encoder beside a made-up record, as a reader of it expects them."""

import json
from pathlib import Path

import numpy as np

from bench.store.codes_file import StoredCodes, write_codes
from bench.store.consistency import DESCRIPTION
from bench.store.record import RunRecord
from bench.store.registered import known_methods
from bench.store.stored_run import CODES


def said_of(method: str, title: str) -> tuple[str, str]:
    """Title and citation of a method: its own, or of one that is not built in the given title."""
    known = known_methods().get(method)
    return (known.titles[0], known.papers[0]) if known else (title, f"A. Author, “The {method} paper”, 2020")


def random_codes(record: RunRecord) -> StoredCodes:
    """Random codes, other ones of every run, with the labels of its dataset."""
    dataset = record.dataset
    codes, labels = np.random.default_rng(int(record.spec.identity, 16)), np.random.default_rng(0)

    def drawn(videos: int) -> tuple[np.ndarray, np.ndarray]:
        signs = codes.choice(np.array([-1, 1], dtype=np.int8), (videos, record.spec.bits))
        return signs, np.eye(dataset.classes, dtype=np.uint8)[labels.integers(0, dataset.classes, videos)]

    return StoredCodes(
        *drawn(dataset.query_videos), *((None, None) if dataset.self_search else drawn(dataset.gallery_videos))
    )


def write_files(folder: Path, record: RunRecord) -> None:
    """Write `codes.npz` and `encoder/encoder.json` of a run."""
    write_codes(folder / CODES, random_codes(record))
    write_description(folder, record)


def write_description(folder: Path, record: RunRecord) -> None:
    dataset, spec = record.dataset, record.spec
    shape = (1, dataset.classes) if record.uses_labels else (dataset.frames, dataset.dimensions)
    description = {"method": spec.method, "bits": spec.bits, "frames": shape[0], "dimensions": shape[1],
                   "parameters": spec.parameters}  # fmt: skip
    (folder / DESCRIPTION).parent.mkdir(exist_ok=True)
    (folder / DESCRIPTION).write_text(json.dumps(description))
