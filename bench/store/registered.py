"""Known methods and datasets: titles and label digests that stored runs are checked against, and names of classes.

`results/methods.json` and `results/registry/` ship with the package, so that reading results needs no method's code.
Other datasets are described in the results folder, in `.labels/`, when a run first uses them.
"""

import re
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from bench.base.text import one_line
from bench.data.dataset import Dataset, Summary
from bench.data.description import LONGEST_TEXT, Text
from bench.store.codes_file import relevance_digest
from bench.store.stored_run import state_of

LABELS = ".labels"
FINGERPRINT = re.compile(r"[0-9a-f]{16,128}")


class KnownMethod(BaseModel):
    """Attributes of a built-in method; lists hold the present wording, then earlier ones, for runs stored with them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    titles: list[str]
    papers: list[str]
    bound: bool
    uses_labels: bool
    seeded: bool
    look: int
    """The number of its colour and marker in figures, among the methods or among the bounds."""
    reference: bool = False
    note: str = ""
    """A sentence for the foot of the tables that it is in."""


class KnownDataset(BaseModel):
    """A dataset's summary, and the digest of its query and gallery labels (`codes_file.relevance_digest`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: Summary
    labels: str
    class_names: tuple[Text, ...] = ()
    """Of the columns of the labels; none in descriptions of earlier versions."""


@cache
def known_methods() -> dict[str, KnownMethod]:
    """The built-in methods by name."""
    content = (files("bench.results") / "methods.json").read_bytes()
    return TypeAdapter(dict[str, KnownMethod]).validate_json(content)


def is_seeded(method: str) -> bool:
    """Whether the seed changes the result of a method; assumed of methods that are not built in."""
    known = known_methods().get(method)
    return known is None or known.seeded


@cache
def registered_datasets() -> dict[str, KnownDataset]:
    """The datasets whose digests ship with the package, by fingerprint."""
    entries = [entry for entry in (files("bench.results") / "registry").iterdir() if entry.name.endswith(".json")]
    known = [KnownDataset.model_validate_json(entry.read_bytes()) for entry in entries]
    return {dataset.summary.fingerprint: dataset for dataset in known}


def known_dataset(fingerprint: str, root: Path) -> KnownDataset | None:
    """A dataset's description that ships with the package, else the one in the results folder."""
    return registered_datasets().get(fingerprint) or _noted(fingerprint, root)


def describe(data: Dataset) -> KnownDataset | None:
    """The description of a loaded dataset; None if its queries or gallery have no labels."""
    if data.query.labels is None or data.gallery.labels is None:
        return None
    gallery = None if data.gallery is data.query else data.gallery.labels
    return KnownDataset(
        summary=data.summary,
        labels=relevance_digest(data.query.labels, gallery, None),
        class_names=tuple(one_line(str(name))[:LONGEST_TEXT] for name in data.class_names),
    )


def note_dataset(data: Dataset, root: Path) -> None:
    """Describe a loaded dataset in a results folder, unless it is known already."""
    fingerprint = data.summary.fingerprint
    known = None if fingerprint in registered_datasets() else describe(data)
    if known is not None and _noted(fingerprint, root) != known:
        _write(known, root)


def adopt_notes(source: Path, root: Path) -> None:
    """Copy descriptions of datasets from another results folder, except of those that are known already."""
    for path in sorted((source / LABELS).glob("*.json")):
        known = _noted(path.stem, source)
        if known is not None and known_dataset(path.stem, root) is None:
            _write(known, root)


def _noted(fingerprint: str, root: Path) -> KnownDataset | None:
    path = _path(fingerprint, root)
    try:
        noted = _read(path, state_of(path))
    except (OSError, ValidationError):
        return None
    return noted if noted.summary.fingerprint == fingerprint else None


def _write(known: KnownDataset, root: Path) -> None:
    path = _path(known.summary.fingerprint, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(known.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _path(fingerprint: str, root: Path) -> Path:
    # Records are not trusted: a fingerprint must not become any other path.
    return root / LABELS / f"{fingerprint if FINGERPRINT.fullmatch(fingerprint) else 'none'}.json"


@lru_cache(maxsize=64)
def _read(path: Path, state: tuple[int, ...]) -> KnownDataset:
    return KnownDataset.model_validate_json(path.read_bytes())
