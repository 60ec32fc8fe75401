"""Text tables of what there is: methods, datasets, runs and published numbers."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.base.errors import InputError
from bench.base.text import closest, one_line, text_table
from bench.data.check import CheckedFile
from bench.data.dataset import Dataset, DatasetSource
from bench.data.feature_files import VARIABLE, FeatureFiles
from bench.report.escape import shorten
from bench.report.published_tables import published_table
from bench.store.prune import unfinished
from bench.store.store import Store
from bench.store.stored_run import TRACEBACK

if TYPE_CHECKING:
    from bench.registry import Registry

# Imports of the registry are local: runs and published numbers are listed without PyTorch, which takes seconds.
# ruff: noqa: PLC0415
REASON = 80
"""Characters of a failed run's reason; the traceback has the rest."""


@dataclass(frozen=True)
class Selection:
    """Which published numbers to list; empty means all."""

    methods: Sequence[str] = ()
    datasets: Sequence[str] = ()
    bits: Sequence[int] = ()


def listing(what: Sequence[str], results: Path, plugins: Iterable[Path], selection: Selection) -> str:
    """Text tables of `methods`, `datasets`, `runs` and `published`, as asked. Raises InputError for anything else."""
    registry: Registry | None = None
    parts: list[str] = []
    for name in what:
        if name in PLUGINS:
            from bench.registry import load_registry

            registry = registry or load_registry(plugins)
            parts.append(PLUGINS[name](registry))
        elif name == "runs":
            parts.append(_runs(results))
        elif name == "published":
            parts.append(published_table(selection.methods, selection.datasets, selection.bits))
        else:
            raise InputError(f"cannot list '{name}': {closest(name, [*PLUGINS, 'runs', 'published'])}")
    if registry is not None and registry.broken:
        parts.append(_broken(registry))
    return "\n\n".join(parts)


def dataset_table(data: Dataset) -> str:
    """Sizes of a dataset that was found complete and well-formed."""
    summary = data.summary
    labels = data.query.labels
    title = f"{summary.title} (stand-in: made-up contents)" if summary.stand_in else summary.title
    rows = [
        ("name", summary.name),
        ("title", title),
        ("training videos", f"{summary.train_videos:,}"),
        ("query videos", f"{summary.query_videos:,}"),
        ("gallery videos", f"{summary.gallery_videos:,}" + (" (the queries)" if summary.self_search else "")),
        ("frames × dimensions", f"{summary.frames} × {summary.dimensions}"),
        ("classes", str(summary.classes)),
        (
            "queries without a label",
            str(int((labels.sum(axis=1) == 0).sum())) if labels is not None else "all: there are none",
        ),
        ("fingerprint", summary.fingerprint),
    ]
    found = "complete and well-formed"
    if labels is None:
        found += "; no labels: quality is recall of exact neighbours, not mAP"
    return f"{text_table(rows)}\n{found}"


def _methods(registry: "Registry") -> str:
    rows = [
        (name, method.title, method.paper or "–", registry.origins[method])
        for name, method in sorted(registry.methods.items())
    ]
    from bench.registry.published_only import published_only

    table = text_table(rows, headers=("method", "title", "paper", "from"), maxcolwidths=[None, None, 60, None])
    others = [(only.method, only.paper or "–", only.why) for only in published_only().values()]
    header = ("published numbers only", "paper", "why there is no such method here")
    return f"{table}\n\n{text_table(others, headers=header, maxcolwidths=[None, 60, 60])}"


def _datasets(registry: "Registry") -> str:
    rows = [
        (name, source.title, registry.origins[source], _files(source, registry.data_root))
        for name, source in sorted(registry.datasets.items())
    ]
    return text_table(rows, headers=("dataset", "title", "from", "files"), maxcolwidths=[None, 60, None, 60])


def _files(source: type[DatasetSource], data_root: Path | None) -> str:
    if not issubclass(source, FeatureFiles):
        return "none needed"
    if data_root is None and VARIABLE not in os.environ:
        return f"not found: give --data-root, or set {VARIABLE}"
    try:
        found = source.at(data_root)
        missing = len(found.missing())
    except InputError as error:
        return str(error)
    return f"{missing} of {len(found.layout.data_files())} missing in {found.layout.folder}" if missing else "found"


def files_table(files: Sequence[CheckedFile]) -> str:
    """What was found of every file of a dataset."""
    rows = [(file.name, file.holds, file.state) for file in files]
    return text_table(rows, headers=("file", "holds", "state"), maxcolwidths=[None, None, 100])


def _broken(registry: "Registry") -> str:
    rows = [(entry.origin, entry.error) for entry in registry.broken]
    return text_table(rows, headers=("broken plug-in", "error"), maxcolwidths=[None, 80])


def _runs(results: Path) -> str:
    if results.exists() and not results.is_dir():
        raise InputError(f"{results}: is a file; name a results folder with --results")
    rows: list[_Row] = []
    store = Store(results)
    for run in store.runs():
        spec, traceback = run.record.spec, run.folder / TRACEBACK
        rows.append(
            _Row(
                run.record.status,
                one_line(spec.dataset),
                one_line(spec.method),
                spec.bits,
                spec.seed,
                one_line(", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in run.record.durations.items())),
                shorten(run.record.reason or "", REASON),
                one_line((traceback if traceback.is_file() else run.folder).relative_to(store.root).as_posix()),
            )
        )
    for begun in unfinished(store):
        where = "" if begun.host is None else f"on {begun.host}: "
        rows.append(
            _Row(
                "interrupted" if begun.host is None else "running",
                one_line(begun.dataset),
                one_line(begun.method),
                int(begun.bits),
                "–" if begun.seed is None else begun.seed,
                "",
                shorten(f"{where}{begun.progress}", REASON),
                one_line(begun.folder.relative_to(store.root).as_posix()),
            )
        )
    # Folders are named by a hash, which says nothing to people.
    rows.sort(key=lambda row: (row.dataset, row.method, row.bits, -1 if row.seed == "–" else int(row.seed)))
    headers = ("state", "dataset", "method", "bits", "seed", "durations", "reason, or progress", "folder, or traceback")
    return text_table(rows, headers=headers) if rows else f"no runs are stored in {results}"


class _Row(NamedTuple):
    """A run, as it is listed."""

    state: str
    dataset: str
    method: str
    bits: int
    seed: int | str
    durations: str
    reason: str
    folder: str


PLUGINS: "dict[str, Callable[[Registry], str]]" = {"methods": _methods, "datasets": _datasets}
