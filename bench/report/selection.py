"""Which of the stored runs a report shows."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.errors import InputError
from bench.store import StoredRun
from bench.text import closest


def select_runs(
    runs: Iterable[StoredRun], methods: Sequence[str] = (), datasets: Sequence[str] = (), bits: Sequence[int] = ()
) -> list[StoredRun]:
    """The runs of these methods, datasets (names, or folders that were given to `bench run`) and code lengths.

    Where nothing is named, all are taken. Raises InputError for what no stored run is of, with the nearest that are.
    """
    selected = list(runs)
    names = [str(Path(name).resolve().name) if Path(name).is_dir() else name for name in datasets]
    criteria: list[tuple[str, Iterable[str], Callable[[StoredRun], str]]] = [
        ("method", methods, lambda run: run.record.spec.method),
        ("dataset", names, lambda run: run.record.spec.dataset),
        ("code length", map(str, bits), lambda run: str(run.record.spec.bits)),
    ]
    for what, wanted, of in criteria:
        chosen, known = set(wanted), {of(run) for run in selected}
        for name in sorted(chosen - known):
            raise InputError(f"no selected run has the {what} '{name}': {closest(name, known)}")
        selected = [run for run in selected if not chosen or of(run) in chosen]
    return selected
