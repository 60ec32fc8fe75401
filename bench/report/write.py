"""Writing of the report, unless the one that stands would come out the same."""

from collections.abc import Iterable
from pathlib import Path

from bench.base.errors import InputError
from bench.report.runs import name_runs
from bench.report.unchanged import REPORT, ingredients, stands
from bench.store.stored_run import StoredRun


def write_report(runs: Iterable[StoredRun], folder: Path) -> Path:
    """Render a report of `runs` into `folder`, in place of a report that is there. Returns the path of `report.md`.

    A report that would come out as it stands is left as it is.

    Raises:
        InputError: there are no runs, or as `write_document`.
    """
    named = name_runs(runs)
    if not named:
        raise InputError("there are no stored runs to report; make some with `bench run`")
    made_of = ingredients(named)
    if stands(folder, REPORT, made_of):
        return folder / REPORT
    from bench.report.compose import compose  # noqa: PLC0415  matplotlib takes a while, and only drawing needs it
    from bench.report.folder import write_document  # noqa: PLC0415

    return write_document(lambda: compose(named), folder, made_of=made_of)
