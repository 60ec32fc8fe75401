"""The results folder: one folder per run, complete or absent."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.base.atomic import new_folder, remove
from bench.base.errors import InputError
from bench.base.files import is_litter
from bench.base.text import say
from bench.store.consistency import agreeing, examined, require_sound, unsound
from bench.store.integrity import RECORD, UnsoundError, sealed, sha256, unsealed
from bench.store.record import RunRecord, RunSpec
from bench.store.stored_run import StoredRun, read_run, strays
from bench.store.swap import hidden_beside, is_leftover, look_through, put_back, put_in_place, replaced_by

TRAINING = ".training"
SPEC_FILE = "run.json"
"""File with the run's spec, beside the state of its training."""
DAMAGED = ".damaged"
CONFLICTS = ".conflicts"
FOREIGN_SHOWN = 3


class Store:
    """A results folder: `<dataset>/<method>/<bits>-<identity>/`.

    A run that is damaged or contradicts itself counts as not stored, with a message. It stays in place until the run is
    done again, and is then kept in `.damaged/`.
    """

    def __init__(self, root: Path, say: Callable[[str], None] = say) -> None:
        # Absolute, since methods may change the working directory.
        self.root = root.absolute()
        self.say = say
        self._said: set[str] = set()

    def require_writable(self) -> None:
        """InputError unless runs can be stored here. Removes what killed processes left unfinished."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise InputError(f"{self.root}: results cannot be written there ({error.strerror}); choose another folder "
                             "with --results") from error  # fmt: skip
        found = look_through(self.root)
        for folder in found.runs:
            self._complete(folder)
        for path in filter(is_leftover, found.hidden):
            self._discard(path)

    def require_runs(self) -> None:
        """InputError unless the folder holds runs, sound or not."""
        if not look_through(self.root).runs:
            what = "no runs here" if self.root.is_dir() else "no such folder"
            near = [
                self.root / "runs",
                *_folders(self.root),
                self.root.parent,
                Path("results/runs"),
            ]
            meant = next((folder for folder in near if look_through(folder).runs), None)
            hint = f"did you mean {meant}?" if meant else "give a results folder, or start with `bench run`"
            raise InputError(f"{self.root}: {what}; {hint}")

    def find(self, spec: RunSpec) -> StoredRun | None:
        """The stored run of this spec, whatever its status; only its record is checked."""
        folder = self.root / spec.folder
        try:
            return read_run(folder) if self._complete(folder) else None
        except UnsoundError as error:
            self._say_once(folder, error)
            return None

    def find_sound(self, spec: RunSpec) -> StoredRun | None:
        """The stored run of this spec if all its files are undamaged and consistent."""
        run = self.find(spec)
        try:
            return run and require_sound(run)
        except UnsoundError as error:
            self._say_once(self.root / spec.folder, error)
            return None

    def training_folder(self, spec: RunSpec) -> Path:
        """The folder of this spec's training state until the run is stored."""
        return self.root / TRAINING / spec.folder

    def begin(self, spec: RunSpec) -> None:
        """Write down that a run has started, so that `bench list runs` shows it before it is stored."""
        folder = self.training_folder(spec)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SPEC_FILE).write_text(spec.model_dump_json(), encoding="utf-8")

    def runs(self) -> Iterator[StoredRun]:
        """All stored runs in order of their folders' names; unsound ones without numbers, but with a reason.

        Damaged records are left out, and foreign files ignored, both with a message.
        """
        found = look_through(self.root)
        read = []
        for folder in found.runs:
            if self._complete(folder):
                read.append(self._row(folder))
            elif folder.exists():
                found.foreign.append(folder)
        if found.foreign:
            names = [path.relative_to(self.root).as_posix() for path in sorted(found.foreign)]
            more = f" and {len(names) - FOREIGN_SHOWN} more" if len(names) > FOREIGN_SHOWN else ""
            self.say(f"{self.root}: not runs, left alone: {', '.join(names[:FOREIGN_SHOWN])}{more}")
        yield from agreeing(run for run in read if run is not None)

    def write(self, record: RunRecord, fill: Callable[[Path], None]) -> StoredRun:
        """Store a run: `fill` writes its files into a temporary folder, which is then renamed."""
        final = self.root / record.spec.folder
        final.parent.mkdir(parents=True, exist_ok=True)
        with new_folder(final, hidden_beside(final), self.place) as beside:
            fill(beside)
            files = sorted(path for path in beside.rglob("*") if path.is_file() and not is_litter(path.name))
            checksums = {path.relative_to(beside).as_posix(): sha256(path) for path in files}
            complete = record.model_copy(update={"checksums": checksums})
            (beside / RECORD).write_bytes(sealed(complete))
        # Only after a timeout can the training continue: a failed one would fail again at the same point.
        if record.status != "timeout":
            remove(self.training_folder(record.spec))
        return StoredRun(final, complete)

    def rewrite(self, run: StoredRun, record: RunRecord, fill: Callable[[Path], None]) -> StoredRun:
        """Store a run again with another record; files that `fill` does not write are kept.

        Raises DamagedError if one of those is damaged.
        """

        def fill_and_link(folder: Path) -> None:
            fill(folder)
            for name in run.record.checksums:
                target = folder / name
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _link(run.verified(name), target)

        return self.write(record, fill_and_link)

    def place(self, written: Path, final: Path) -> None:
        """Move a complete folder to a run's place."""
        old = put_in_place(written, final)
        if old is not None:
            self._discard(old)

    def _row(self, folder: Path) -> StoredRun | None:
        try:
            return examined(read_run(folder))
        except UnsoundError as error:
            if error.record is None:
                self._say_once(folder, error)
                return None
            return unsound(StoredRun(folder, error.record), str(error.record.reason))

    def _say_once(self, folder: Path, error: UnsoundError) -> None:
        """Report an unsound run once, although runs are looked up repeatedly while waiting for other processes."""
        if str(error) not in self._said:
            self._said.add(str(error))
            self.say(f"{folder}: {error.summary}; ignored; `bench run` does it again and keeps this one")

    def _complete(self, folder: Path) -> bool:
        """Whether there is a run. One that was being replaced when its process died is restored."""
        return (folder / RECORD).is_file() or (put_back(folder) and (folder / RECORD).is_file())

    def _discard(self, hidden: Path) -> None:
        """Remove an unfinished folder or a sound run that was replaced; set an unsound one aside."""
        final = replaced_by(hidden)
        if final is None or _sound(hidden):
            remove(hidden)
        else:
            target = self._move(hidden, self.root / DAMAGED / final.relative_to(self.root))
            self.say(f"{final}: was damaged or inconsistent; kept as {target}")

    def _move(self, path: Path, target: Path) -> Path:
        number, free = 1, target
        while free.exists():
            number += 1
            free = target.with_name(f"{target.name}-{number}")
        free.parent.mkdir(parents=True, exist_ok=True)
        path.rename(free)
        return free


def _sound(folder: Path) -> bool:
    """Whether this folder holds an undamaged, consistent run and no other files."""
    try:
        run = StoredRun(folder, unsealed((folder / RECORD).read_bytes(), folder))
        whole = all(sha256(folder / name) == digest for name, digest in run.record.checksums.items())
        return whole and not strays(run) and examined(run).record.status == run.record.status
    except (InputError, OSError):
        return False


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without links
        shutil.copy2(source, target)
