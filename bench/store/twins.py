"""Runs whose codes are equal although they should differ: one may be a copy of the other."""

from collections.abc import Iterable
from dataclasses import dataclass

from bench.store.registered import is_seeded
from bench.store.stored_run import StoredRun

FEW_BITS = 8
"""Codes of fewer bits may be equal by chance."""


@dataclass(frozen=True)
class Twins:
    """Two runs whose codes are equal."""

    first: StoredRun
    second: StoredRun

    @property
    def differ_in(self) -> str:
        """The fields in which the two specs differ, such as `seed`."""
        one, other = self.first.record.spec, self.second.record.spec
        return ", ".join(
            name.replace("_", " ") for name in type(one).model_fields if getattr(one, name) != getattr(other, name)
        )

    @property
    def sentence(self) -> str:
        """A sentence that names the first run and the difference."""
        return f"codes equal those of {self.first.record.spec.folder}, which differs in {self.differ_in}"

    @property
    def suspicious(self) -> bool:
        """Whether the codes must be copies. Parameters may have no effect, and revisions may leave codes unchanged."""
        one, other = self.first.record.spec, self.second.record.spec
        return one.bits >= FEW_BITS and (
            one.method != other.method or (is_seeded(one.method) and one.seed != other.seed)
        )


def twins(runs: Iterable[StoredRun]) -> list[Twins]:
    """Pairs of runs with equal codes, except where only the seed of an unseeded method differs."""
    first: dict[str, StoredRun] = {}
    found = []
    for run in runs:
        if run.codes is not None and run.record.status == "done":
            other = first.setdefault(run.codes.codes, run)
            pair = Twins(other, run)
            if other is not run and not (pair.differ_in == "seed" and not is_seeded(run.record.spec.method)):
                found.append(pair)
    return found
