"""The folder of a document: as Markdown and as a page, with its tables and figures.

A document's files replace those of the document before, and nobody's own.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.base.errors import InputError
from bench.base.text import say
from bench.report.document import FIGURES, TABLES, Document
from bench.report.drawing import drawn
from bench.report.figures import settings
from bench.report.page import page
from bench.report.tables import to_csv, to_latex
from bench.report.unchanged import REPORT, digest, note_of, written
from bench.store.leases import Leases, exclusive

GENERATED = re.compile(rb"(<!doctype html>\s+)?<!-- rendered by vhbench")
"""The beginning of every document that this package writes."""
LEASE = ".writing"
STAGED = ".new"


def write_document(composed: Callable[[], Document], folder: Path, file: str = REPORT, made_of: str = "") -> Path:
    """Write a document as `file`, with its tables and figures. Returns the path of the file.

    `composed` is called with the settings for plots in force. Files that an earlier document of the same name brought
    are replaced or removed. All others stay; one whose name is needed, or that was changed by hand, gets another name.

    Raises:
        InputError: the folder cannot be written, or holds a `file` of somebody else's.
    """
    require_writable(folder, file)
    with settings():
        document = composed()
        files = rendered(document, Path(file).with_suffix(".html").name)
    write_files(files | {file: document.text.encode()}, folder, file, made_of)
    return folder / file


def write_files(
    files: Mapping[str, bytes], folder: Path, file: str, made_of: str = "", option: str = "--report"
) -> None:
    """Write the files of a document, or of several of which `file` is the first, as `write_document` does."""
    try:
        final = folder.resolve()
        final.mkdir(parents=True, exist_ok=True)
        # Processes that share a sweep end at the same time, and write the same report.
        with exclusive(Leases(final), LEASE, say=lambda _: say(f"{folder}: waiting for a process that writes there")):
            _put(files, final, file, made_of)
    except OSError as error:
        raise _unwritable(folder, error, option) from error


def require_writable(folder: Path, file: str = REPORT, option: str = "--report") -> None:
    """InputError unless a document can be written into the folder as `file`, with its tables and figures.

    `option` is the one that names the folder on the command line.
    """
    final = folder.resolve()
    places = (final, final / TABLES, final / FIGURES)
    for place in places:
        if place.exists() and not place.is_dir():
            raise InputError(f"{place}: is a file, not a folder; move it, or name another with {option}")
    found = [place for place in places if place.exists()]
    for place in found or [next(parent for parent in final.parents if parent.exists())]:
        try:
            # Trying is the only sure way to know.
            Path(tempfile.mkdtemp(prefix=".vhbench-", dir=place)).rmdir()
        except OSError as error:
            raise _unwritable(folder, error, option) from error
    document = final / file
    if not document.exists() or file in written(final, file):
        return
    if document.is_dir() or not GENERATED.match(document.read_bytes()):
        what = "was not written by vhbench, and would be replaced"
        raise InputError(f"{folder / file}: {what}; move it, or name another folder with {option}")


def _unwritable(folder: Path, error: OSError, option: str) -> InputError:
    why = error.strerror or error
    return InputError(f"{folder}: the report cannot be written there ({why}); name another folder with {option}")


def rendered(document: Document, name: str) -> dict[str, bytes]:
    """The page of a document, under this name, and the files that it links to, by name below the folder."""
    files: dict[str, bytes] = {}
    for table in document.tables:
        files[f"{TABLES}/{table.name}.csv"] = to_csv(table.frame).encode()
        files[f"{TABLES}/{table.name}.tex"] = to_latex(table).encode()
    figures = drawn(document.plots)
    for plot, figure in zip(document.plots, figures, strict=True):
        files[f"{FIGURES}/{plot.name}.csv"] = to_csv(plot.frame).encode()
        files[f"{FIGURES}/{plot.name}.svg"] = figure.svg.encode()
        files[f"{FIGURES}/{plot.name}.png"] = figure.png
        files[f"{FIGURES}/{plot.name}.pdf"] = figure.pdf
    files[name] = page(document, [figure.chart for figure in figures]).encode()
    return files


def _put(files: Mapping[str, bytes], folder: Path, file: str, made_of: str) -> None:
    """Have the files take their places, when all of them are on the disk."""
    note, staged, before = note_of(folder, file), folder / STAGED, written(folder, file)
    digests = {name: digest(content) for name, content in files.items()}
    listed = json.dumps({"made_of": made_of, "files": digests}).encode()
    shutil.rmtree(staged, ignore_errors=True)
    try:
        for name, content in (*files.items(), (note.name, listed)):
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).write_bytes(content)
        for name in before.keys() | digests.keys():
            _make_room(folder / name, before.get(name), digests.get(name))
        # The list first: who dies here leaves no file that nobody would know for the program's own.
        for name in (note.name, *files):
            (folder / name).parent.mkdir(exist_ok=True)
            (staged / name).replace(folder / name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _make_room(path: Path, before: str | None, after: str | None) -> None:
    """Remove what was written before and is no more; give what somebody else wrote or changed a name of its own."""
    if not os.path.lexists(path):
        return
    found = digest(path.read_bytes()) if path.is_file() and not path.is_symlink() else None
    if found is not None and found in {before, after}:
        if after is None:
            path.unlink()
    elif after is not None:
        kept, number = path.with_stem(f"{path.stem}.kept"), 1
        while os.path.lexists(kept):
            number += 1
            kept = path.with_stem(f"{path.stem}.kept-{number}")
        path.rename(kept)
        say(f"{path}: is not as vhbench wrote it; kept as {kept.name}")
