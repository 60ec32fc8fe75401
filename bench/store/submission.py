"""A submission: finished runs without their weights in one zip file, to be merged into another results folder.

Members are stored uncompressed, so that the file inflates to nothing larger than itself, and equal runs give equal
bytes. A file from a stranger is refused unless every member is an expected one.
"""

import io
import re
import stat
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.base.atomic import write_file
from bench.base.errors import InputError
from bench.base.files import require_file
from bench.base.npz_file import UNREADABLE
from bench.base.text import message_of, say
from bench.store.codes_file import read_codes
from bench.store.consistency import DESCRIPTION, require_sound
from bench.store.evaluation import changes, recomputed, stored_metrics
from bench.store.integrity import RECORD, sealed
from bench.store.record import RunRecord
from bench.store.stored_run import CODES, PER_QUERY, StoredRun, read_run
from bench.store.swap import look_through

PACKED = (CODES, PER_QUERY, DESCRIPTION)
"""The files of a run beside its record that are submitted."""
MEMBER = re.compile(
    rf"[^./\\][^/\\]*/[^./\\][^/\\]*/\d+-[0-9a-f]{{12}}/({'|'.join(map(re.escape, (RECORD, *PACKED)))})"
)
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The date of every member: equal runs give equal bytes."""
LARGEST = 64 * 2**20
"""Bytes of a submission."""
LARGEST_ARRAYS = 256 * 2**20
"""Bytes of the arrays in one file of a submission."""


def runs_at(places: Sequence[Path], results: Path) -> list[StoredRun]:
    """The finished runs at or below folders, which are paths or, as `bench list runs` shows them, places in `results`.

    Others are named. Raises InputError where there are none.
    """
    found: dict[str, StoredRun] = {}
    for place in places:
        folders = _folders(place) or _folders(results / place)
        if not folders:
            raise InputError(f"{place}: no runs there, nor at {results / place}; `bench list runs` shows their folders")
        for folder in folders:
            run = read_run(folder)
            other = found.setdefault(run.record.spec.folder, run)
            if other.folder != run.folder:
                raise InputError(f"{run.folder}: is the same run as {other.folder}; submit one of them")
    finished = [run for run in found.values() if run.record.status == "done"]
    for run in found.values():
        if run not in finished:
            say(f"{run.folder}: left out, since its status is {run.record.status}")
    if not finished:
        raise InputError(f"{places[0]}: no finished run there; `bench list runs` shows states")
    return finished


def write_submission(runs: Sequence[StoredRun], path: Path) -> None:
    """Write finished runs into a zip file, without weights and without the folders of datasets.

    Raises InputError if a run is damaged, or has metrics that do not follow from its codes.
    """
    members: dict[str, bytes] = {}
    for run in runs:
        _require_true(run)
        for name in PACKED:
            members[f"{run.record.spec.folder}/{name}"] = run.verified(name).read_bytes()
        members[f"{run.record.spec.folder}/{RECORD}"] = sealed(_submitted(run.record))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(members.items()):
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, content)
    if len(buffer.getvalue()) > LARGEST:
        raise InputError(f"{path}: would have more than {LARGEST >> 20} MiB; submit fewer runs at once")
    write_file(path, buffer.getvalue())


@contextmanager
def results_folder(source: Path) -> Iterator[Path]:
    """The results folder `source`, or the one that a submission holds, unpacked until the block ends.

    Raises InputError for a file that `bench submit` would not have written.
    """
    if source.is_dir() or not source.exists():
        yield source
        return
    members = _members(source)
    with tempfile.TemporaryDirectory(prefix="vhbench-") as place:
        for name, content in members.items():
            path = Path(place, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield Path(place)


def _folders(place: Path) -> list[Path]:
    """The folders of runs at or below a place."""
    place = place.absolute()
    if (place / RECORD).is_file():
        return [place]
    if runs := look_through(place).runs:
        return runs
    found = sorted(path.parent for path in place.glob(f"**/{RECORD}"))
    return [run for run in found if not any(part.startswith(".") for part in run.relative_to(place).parts)]


def _require_true(run: StoredRun) -> None:
    """InputError unless the run is whole, and its metrics follow from its codes."""
    require_sound(run)
    codes = read_codes(run.verified(CODES))
    for line in changes(run, codes, recomputed(codes, stored_metrics(run))):
        raise InputError(f"{run.folder}: {line}; `bench evaluate` computes the metrics again")


def _submitted(record: RunRecord) -> RunRecord:
    """The record without what needs weights, and without the name of a folder on the contributor's disk."""
    kept = {name: digest for name, digest in record.checksums.items() if name in PACKED}
    return record.model_copy(
        update={
            "checksums": kept,
            "left_out": {name: digest for name, digest in record.checksums.items() if name not in PACKED},
            "relaxed": None,
            "dataset": record.dataset.model_copy(update={"place": ""}),
        }
    )


def _members(source: Path) -> dict[str, bytes]:
    """The files in a submission by name. Raises InputError for anything that `write_submission` would not write."""
    size = require_file(source, "give a results folder, or a file that `bench submit` wrote").stat().st_size
    try:
        if size > LARGEST:
            raise ValueError(f"it has more than {LARGEST >> 20} MiB")
        with zipfile.ZipFile(source) as archive:
            entries = archive.infolist()
            _require_ordinary(entries, size)
            members = {entry.filename: archive.read(entry) for entry in entries}
        for name, content in members.items():
            run = "/".join(name.split("/")[:3])
            if f"{run}/{RECORD}" not in members:
                raise ValueError(f"{run} has no {RECORD}")
            if name.endswith(".npz"):
                _require_arrays(name, content)
    except (*UNREADABLE, struct.error) as error:
        raise InputError(
            f"{source}: is not a submission ({message_of(error)}); ask for a file that `bench submit` wrote"
        ) from error
    return members


def _require_ordinary(entries: Sequence[zipfile.ZipInfo], size: int) -> None:
    """ValueError unless all members are expected files, stored as they are, each once."""
    if not entries:
        raise ValueError("it is empty")
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("its files would be larger than itself")
    if len({entry.filename.casefold() for entry in entries}) < len(entries):
        raise ValueError("it holds a file twice")
    for entry in entries:
        name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
        long = any(len(part.encode()) > 255 for part in name.split("/"))
        if not MEMBER.fullmatch(name) or not name.isprintable() or name != entry.filename or long:
            raise ValueError(f"{name[:80]!r} is not a file of a run")
        if kind not in (0, stat.S_IFREG):
            raise ValueError(f"{name[:80]} is a link or a device")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size or entry.flag_bits & 1:
            raise ValueError(f"{name[:80]} is compressed or encrypted")


def _require_arrays(name: str, content: bytes) -> None:
    """ValueError if the arrays in an `.npz` file are larger than any in a submission."""
    with zipfile.ZipFile(io.BytesIO(content)) as arrays:
        if sum(entry.file_size for entry in arrays.infolist()) > LARGEST_ARRAYS:
            raise ValueError(f"{name} inflates to more than {LARGEST_ARRAYS >> 20} MiB")
