"""How long runs will take, judged by those that were done before."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from statistics import fmean, median

from bench.record import RunRecord
from bench.spec import RunSpec

Kind = tuple[str, str, str]


class Estimates:
    """The durations of finished runs, by method with its parameters and dataset: code length and seed matter little."""

    def __init__(self, records: Iterable[RunRecord] = ()) -> None:
        self._seconds: dict[Kind, list[float]] = defaultdict(list)
        for record in records:
            self.add(record)

    def add(self, record: RunRecord) -> None:
        """Learn from a run; one that failed says nothing."""
        if record.status == "done":
            self._seconds[kind_of(record.spec)].append(sum(record.durations.values()))

    def seconds(self, spec: RunSpec) -> float | None:
        """What a run will take; None if none like it is known."""
        found = self._seconds.get(kind_of(spec))
        return median(found) if found else None

    def total(self, kinds: Counter[Kind]) -> float | None:
        """What runs of these kinds take together: unknown kinds count as the mean of the known; None if none is."""
        known = {kind: median(self._seconds[kind]) for kind in kinds if kind in self._seconds}
        if not known and kinds:
            return None
        typical = fmean(known.values()) if known else 0.0
        return sum(count * known.get(kind, typical) for kind, count in kinds.items())


def kind_of(spec: RunSpec) -> Kind:
    """What is alike in runs that take about the same time."""
    return spec.method, spec.dataset_fingerprint, str(sorted(spec.parameters.items()))
