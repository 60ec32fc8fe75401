"""Stored runs as a report shows them: selected, named, and grouped into rows and datasets."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePath

from bench.base.text import one_line, slug
from bench.data.dataset import Summary
from bench.metrics import PROTOCOLS
from bench.store.record import RunRecord
from bench.store.registered import is_seeded, known_dataset, known_methods
from bench.store.stored_run import StoredRun

_Data = tuple[str, str]
HEADLINE_KS = (20, 100)
BOUND, REFERENCE = ", bound", ", no hash"
"""The ends of the labels of bounds, and of those among them that are references without codes."""


@dataclass(frozen=True)
class ReportRun:
    """A stored run with the names it has in this report."""

    stored: StoredRun
    dataset: str
    """Key of the dataset in file names."""
    dataset_title: str
    method: str
    """Label of the method; runs that differ only in seed and code length share it."""

    @property
    def record(self) -> RunRecord:
        return self.stored.record

    @property
    def bits(self) -> int:
        return self.record.spec.bits

    @property
    def seeded(self) -> bool:
        """Whether another seed would give other codes."""
        return is_seeded(self.record.spec.method)

    @property
    def done(self) -> bool:
        return self.record.status == "done"

    def scores(self, protocol: str) -> dict[int, float]:
        """mAP@k, or recall@k where there are no labels, by ascending k; empty if not evaluated under the protocol."""
        scores = self.record.metrics.get(protocol)
        return {} if scores is None else scores.compared

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the dataset's classes, where the package or the results folder knows them."""
        known = known_dataset(self.record.spec.dataset_fingerprint, self.stored.root)
        return known.class_names if known else ()

    @property
    def row_order(self) -> tuple[int, bool, str, str]:
        """Methods by name, those that are not built in after the others; then bounds, references without codes last."""
        foreign = self.record.spec.method not in known_methods()
        return self.record.bound + self.record.reference, foreign, self.method.casefold(), self.method

    @property
    def machine(self) -> str:
        """The machine of the run's durations: times of different machines do not compare."""
        environment = self.record.environment
        processor, device = environment.get("cpu", "unknown processor"), environment.get("device", "cpu")
        return (
            f"{processor}, {threads_phrase(environment.get('threads', '?'))}"
            if device == "cpu"
            else f"{device} ({processor})"
        )


def name_runs(stored: Iterable[StoredRun]) -> list[ReportRun]:
    """The runs with their names, in the order in which a report shows them.

    Runs with different parameters or method revisions never share a label, and runs on different data never share a
    dataset, whatever the names say. Of runs with the same identity (from several stores) the last one counts, and of
    several seeds of a method that does not depend on them the first: equal numbers say nothing of spread.
    """
    runs = _one_seed_of_many({run.record.spec.identity: run for run in stored}.values())
    datasets = _dataset_names(runs)
    methods = _method_labels(runs)
    named = [
        ReportRun(run, *datasets[_data(run)], methods[run.record.spec.identity])
        for run in runs
    ]  # fmt: skip
    return sorted(named, key=lambda run: (run.dataset, *run.row_order, run.bits, run.record.spec.seed))


def threads_phrase(number: object) -> str:
    """`1 thread`, `2 threads`."""
    return f"{number} thread{'' if number == 1 else 's'}"


def stand_in_phrase(data: Summary) -> str:
    """The words that generated data must be shown with."""
    return f"stand-in data, not the real {data.title}"


def datasets_of(runs: Sequence[ReportRun]) -> dict[str, list[ReportRun]]:
    """The runs of each dataset, by its key, in order."""
    groups: dict[str, list[ReportRun]] = defaultdict(list)
    for run in runs:
        groups[run.dataset].append(run)
    return dict(groups)


def methods_of(runs: Iterable[ReportRun]) -> list[str]:
    """Row labels in the order of rows."""
    return [label for _, label in sorted({(run.row_order, run.method) for run in runs})]


def rows_by_bits(runs: Iterable[ReportRun]) -> list[tuple[str, int]]:
    """Row label and code length of every row, by code length, then methods in order."""
    return [(method, bits) for bits, _, method in sorted({(run.bits, run.row_order, run.method) for run in runs})]


def rows_by_method(runs: Iterable[ReportRun]) -> list[tuple[str, int]]:
    """Row label and code length of every row, methods in order, then by code length."""
    return [(method, bits) for _, method, bits in sorted({(run.row_order, run.method, run.bits) for run in runs})]


def bounds_of(runs: Iterable[ReportRun]) -> set[str]:
    """Labels of the methods that are ranked with none: bounds, and references without codes."""
    return {run.method for run in runs if run.record.bound}


def bits_of(runs: Iterable[ReportRun]) -> list[int]:
    """Code lengths, ascending."""
    return sorted({run.bits for run in runs})


def seeds_of(runs: Iterable[ReportRun]) -> list[int]:
    """Seeds, ascending."""
    return sorted({run.record.spec.seed for run in runs})


def headline_ks(ks: Sequence[int]) -> list[int]:
    """The cut-offs that short tables and plots show: 20 and 100, or the smallest and largest where neither is known."""
    return [k for k in HEADLINE_KS if k in ks] or sorted({min(ks), max(ks)})


def protocols_of(runs: Iterable[ReportRun]) -> list[str]:
    """Protocols that any finished run was evaluated under: the known ones in their order, then others by name."""
    found = {name for run in runs if run.done for name in run.record.metrics}
    known = [name for name in PROTOCOLS if name in found]
    return known + sorted(found - set(known))


def protocols_phrase(protocols: Sequence[str]) -> str:
    """`protocol paper`, or `protocols paper and strict`."""
    return f"protocol{'s' if len(protocols) > 1 else ''} {' and '.join(protocols)}"


def _one_seed_of_many(runs: Iterable[StoredRun]) -> list[StoredRun]:
    kept: dict[str, StoredRun] = {}
    for run in sorted(runs, key=lambda run: run.record.spec.seed):
        spec = run.record.spec
        kept.setdefault(spec.identity if is_seeded(spec.method) else spec.model_copy(update={"seed": 0}).identity, run)
    return list(kept.values())


def _data(run: StoredRun) -> _Data:
    """The identity of a run's dataset: name and fingerprint."""
    return run.record.spec.dataset, run.record.spec.dataset_fingerprint


def _dataset_names(runs: Sequence[StoredRun]) -> dict[_Data, tuple[str, str]]:
    """Key and title of every dataset; those of one name say what differs in their folders, else in their data."""
    summaries = {_data(run): run.record.dataset for run in runs}
    keys = _distinct(
        {data: slug(data[0]) for data in summaries},
        summaries,
        by_folder=lambda key, mark: slug(f"{key} {mark}"),
        by_contents=lambda key, mark: f"{key}-{mark}",
    )
    titles = _distinct(
        {data: _dataset_title(summary) for data, summary in summaries.items()},
        summaries,
        by_folder=lambda title, mark: f"{title} ({mark})",
        by_contents=lambda title, mark: f"{title} (data {mark})",
    )
    return {data: (keys[data], titles[data]) for data in summaries}


def _distinct(
    names: dict[_Data, str],
    summaries: dict[_Data, Summary],
    *,
    by_folder: Callable[[str, str], str],
    by_contents: Callable[[str, str], str],
) -> dict[_Data, str]:
    """The names, no two alike: those that several datasets have get a mark."""
    distinct: dict[_Data, str] = {}
    for name in names.values():
        same = [data for data in names if names[data] == name]
        marks = _differing_parts([summaries[data].place for data in same])
        distinct |= {data: by_folder(name, mark) if mark else name for data, mark in zip(same, marks, strict=True)}
    counts = Counter(distinct.values())
    return {
        data: name if counts[name] == 1 else by_contents(names[data], data[1][:8])
        for data, name in distinct.items()
    }  # fmt: skip


def _differing_parts(folders: Sequence[str]) -> list[str]:
    """The paths of folders without what all begin with and all end with; nothing of them if one is not known."""
    paths = [PurePath(one_line(folder)).parts for folder in folders]
    if not all(paths):
        return [""] * len(paths)
    for _ in range(2):
        shared = takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))
        begin = len(list(shared))
        paths = [path[begin:][::-1] for path in paths]
    return ["/".join(path) for path in paths]


def _dataset_title(data: Summary) -> str:
    """The title; that of generated data says so wherever it is shown."""
    return f"{data.title} ({stand_in_phrase(data)})" if data.stand_in else data.title


def _method_labels(runs: Sequence[StoredRun]) -> dict[str, str]:
    """A label for every run, by its identity."""
    keys_of_title: dict[str, set[str]] = defaultdict(set)
    groups: dict[tuple[str, str, str], list[StoredRun]] = defaultdict(list)
    for run in runs:
        keys_of_title[run.record.method_title].add(run.record.spec.method)
        groups[(*_data(run), run.record.spec.method)].append(run)
    labels = {}
    for group in groups.values():
        differing, sources = _differing([_settings(run) for run in group]), _sources(group)
        for run in group:
            settings = _settings(run)
            title = run.record.method_title
            if len(keys_of_title[title]) > 1:
                title = f"{title} [{run.record.spec.method}]"
            parts = [
                f"{name}={settings[name]}" if name in settings else f"no {name}"
                for name, usual in differing.items()
                if settings.get(name) != usual
            ]
            parts += filter(None, [sources[run.record.spec.method_revision]])
            if parts:
                title += f" ({', '.join(parts)})"
            if run.record.bound:
                title += REFERENCE if run.record.reference else BOUND
            labels[run.record.spec.identity] = title
    return labels


def _settings(run: StoredRun) -> dict[str, str]:
    """The parameters, as text."""
    return {name: json.dumps(value, sort_keys=True) for name, value in sorted(run.record.spec.parameters.items())}


def _sources(runs: Sequence[StoredRun]) -> dict[int | str, str]:
    """The mark of each revision of a method in labels: none for the newest source of a plug-in, else its date."""
    last: dict[int | str, str] = {}
    for run in runs:
        revision = run.record.spec.method_revision
        last[revision] = max(last.get(revision, ""), run.record.started)
    *earlier, newest = sorted(last, key=lambda revision: last[revision])
    if all(isinstance(revision, int) for revision in last):
        return {revision: f"method revision={revision}" if earlier else "" for revision in last}
    for shown in (len("2026-11-28"), len("2026-11-28T06:20:44")):
        said = {revision: f"earlier source, {last[revision][:shown].replace('T', ' ')}" for revision in earlier}
        if len(set(said.values())) == len(said):
            break
    else:
        said = {revision: f"earlier source, {revision}" for revision in earlier}
    return said | {newest: ""}


def _differing(settings: Sequence[dict[str, str]]) -> dict[str, str | None]:
    """The names whose value is not the same everywhere, each with the value that needs no mention.

    That is the one which more than half of the variants have: whoever changes one parameter at a time reads what was
    changed. None where there is no such value, or where a single name differs.
    """
    variants = [dict(variant) for variant in dict.fromkeys(tuple(sorted(setting.items())) for setting in settings)]
    names = {name: None for setting in settings for name in setting}
    values = {name: Counter(variant.get(name) for variant in variants) for name in names}
    differing = [name for name, counts in values.items() if len(counts) > 1]
    usual: dict[str, str | None] = {}
    for name in differing:
        ((value, count),) = values[name].most_common(1)
        usual[name] = value if len(differing) > 1 and count > len(variants) / 2 else None
    return usual
