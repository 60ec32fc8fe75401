"""A report on disk: whole or absent, and never in place of somebody's other files."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.errors import InputError
from bench.report.document import MARKER, Document, compose
from bench.report.drawing import drawn
from bench.report.plots import settings
from bench.report.render import to_csv, to_latex
from bench.report.runs import name_runs
from bench.report.unchanged import NOTE, ingredients, note, stands
from bench.store import StoredRun

REPORT = "report.md"
TABLES = "tables"
FIGURES = "figures"


def write_report(runs: Iterable[StoredRun], folder: Path) -> Path:
    """Render a report of `runs` into `folder`, in place of a report that is there. Returns the path of `report.md`.

    A report that would come out as it stands is left as it is.

    Raises:
        InputError: there are no runs, or the folder holds anything else than a report, or cannot be written.
    """
    named = name_runs(runs)
    if not named:
        raise InputError("there are no stored runs to report; make some with `bench run`")
    require_replaceable(folder.resolve())
    made_of = ingredients(named)
    if stands(folder, made_of):
        return folder / REPORT
    return write_document(lambda: compose(named), folder, finish=lambda written: note(written, made_of))


def write_document(
    composed: Callable[[], Document],
    folder: Path,
    file: str = REPORT,
    marker: str = MARKER,
    finish: Callable[[Path], None] = lambda written: None,
) -> Path:
    """Write a document that starts with `marker` as `file`, with its tables and figures. Returns the path of the file.

    `composed` is called with the settings for plots in force, `finish` with the folder when all is written. A document
    of the same kind in the folder is replaced.

    Raises:
        InputError: the folder holds anything else than such a document, or cannot be written.
    """
    final = folder.resolve()
    require_replaceable(final, file, marker)
    beside = final.parent / f".{final.name}.{os.getpid()}"
    old = final.parent / f".{final.name}.{os.getpid()}.old"
    with settings():
        document = composed()
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        with settings():
            _write(document, beside, file)
        finish(beside)
        if final.exists():
            final.rename(old)
        beside.rename(final)
    except OSError as error:
        raise InputError(
            f"{folder}: the report cannot be written there ({error.strerror}); name another folder with --report"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    return folder / file


def require_replaceable(folder: Path, file: str = REPORT, marker: str = MARKER) -> None:
    """InputError unless the folder is absent, empty, or a report and nothing else.

    A report is told by its `file`, which starts with `marker`.
    """
    if not folder.exists():
        parent = next(path for path in folder.resolve().parents if path.exists())
        try:
            # Trying is the only sure way to know.
            Path(tempfile.mkdtemp(prefix=".vhbench-", dir=parent)).rmdir()
        except OSError as error:
            raise InputError(
                f"{folder}: the report cannot be written there ({error.strerror}); name another folder with --report"
            ) from error
        return
    mend = "name another folder with --report"
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file, not a folder; {mend}")
    found = {path.name for path in folder.iterdir()}
    if not found:
        return
    report = folder / file
    if file not in found or not report.read_text(encoding="utf-8", errors="replace").startswith(marker):
        raise InputError(f"{folder}: holds files that are no report of this kind and would be lost; {mend}")
    foreign = sorted(found - {file, TABLES, FIGURES, NOTE})
    if foreign:
        raise InputError(
            f"{folder}: holds {foreign[0]}, which is no part of a report and would be lost; move it, or {mend}"
        )


def _write(document: Document, folder: Path, file: str) -> None:
    tables, figures = folder / TABLES, folder / FIGURES
    tables.mkdir()
    figures.mkdir()
    for table in document.tables:
        _write_text(tables / f"{table.name}.csv", to_csv(table.frame))
        _write_text(tables / f"{table.name}.tex", to_latex(table))
    for plot, (svg, png) in zip(document.plots, drawn(document.plots), strict=True):
        _write_text(figures / f"{plot.name}.csv", to_csv(plot.frame))
        _write_text(figures / f"{plot.name}.svg", svg)
        (figures / f"{plot.name}.png").write_bytes(png)
    _write_text(folder / file, document.text)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
