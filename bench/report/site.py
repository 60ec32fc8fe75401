"""A static leaderboard over several sets of results: files that any host serves, and that work without one."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.report.figures import settings
from bench.report.folder import rendered, require_writable, write_files
from bench.report.leaderboard import pages
from bench.report.leaderboard_pages import INDEX
from bench.report.result_sets import collect
from bench.report.runs import bounds_of
from bench.report.styles import assign
from bench.store.recompute import Recomputation

OPTION = "--out"


def write_site(folders: Sequence[Path], out: Path, proof: Recomputation, say: Callable[[str], None]) -> Path:
    """Write a leaderboard over results folders into `out`, in place of one that is there. Returns its first page.

    Every run is checked as `proof` can; see `bench.store.tiers`. Other files in `out` stay.

    Raises InputError for a folder without runs, or where `out` cannot be written.
    """
    require_writable(out, INDEX, OPTION)
    collection = collect(folders, proof, say)
    styles = assign({run.method: run.record.spec.method for run in collection.runs}, bounds_of(collection.runs))
    files: dict[str, bytes] = {}
    with settings():
        for name, document in pages(collection, styles).items():
            files |= rendered(document, name)
    write_files(files, out, INDEX, option=OPTION)
    return out / INDEX
