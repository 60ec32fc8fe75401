"""The extraction: every video decoded, its frames turned into features, all of them written as a feature folder.

Features are kept in a folder beside until all are there, so that the same call goes on after it was interrupted.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bench.base.atomic import new_file, new_folder, remove, remove_leftovers, rename
from bench.base.errors import InputError
from bench.base.files import require_space
from bench.base.progress import Progress
from bench.base.text import one_line
from bench.data.convert import require_new_folder
from bench.data.description import SPLITS
from bench.video.backbones import Backbone
from bench.video.decoding import Decoded, Facts, decoded
from bench.video.extractor import Extractor
from bench.video.feature_folder import Extracted, fill_folder
from bench.video.manifest import SETTINGS, Row, Settings
from bench.video.sources import Collection, Video

EARLIER = "earlier"
"""In the folder of what is not finished: the feature folder that is replaced."""


class VideoFailedError(Exception):
    """A video cannot be used, and the extraction was to stop at the first such one."""


def extract(
    videos: Collection,
    using: Extractor,
    out: Path,
    jobs: int,
    progress: Progress,
    *,
    stop_at_failures: bool = False,
    update: bool = False,
) -> list[Row]:
    """Write the feature folder `out`, whole or not at all, with what can be extracted. Returns its manifest.

    `update`: the folder is there, and is replaced by one of these videos. Features in it are used again, if the
    settings are the same, of videos that have not changed.

    Raises:
        InputError: `out` holds files already, the disk is too small, another call writes it.
        VideoFailedError: a video cannot be used, if it is to `stop_at_failures`.
    """
    if not update:
        require_new_folder(out)
    target = out.resolve()
    size = len(videos.videos) * using.sampling.frames * using.settings.dimensions * 4
    require_space(target, 2 * size, "the extraction", "free some, or name another disk in --out")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _kept_beside(target, using.settings) as kept:
            facts = _extract_each(videos, using, kept, jobs, progress, stop_at_failures)
            rows = _rows(videos, facts)
            remove_leftovers(target)
            with new_folder(target, put=kept.put_in_place) as folder:
                fill_folder(folder, videos, using.settings, rows, kept.features)
            remove(kept.folder)
    except OSError as error:
        raise InputError(
            f"--out {out}: cannot be written ({error.strerror or one_line(str(error))}); name another folder"
        ) from error
    return rows


@dataclass(frozen=True)
class _Kept:
    """Features of single videos, each with the facts of its file, until all are there."""

    folder: Path
    earlier: Extracted | None
    """The feature folder that is updated."""

    def path(self, video: Video) -> Path:
        return self.folder / f"{hashlib.sha256(video.name.encode()).hexdigest()}.safetensors"

    def put(self, video: Video, facts: Facts, features: NDArray[np.float32]) -> None:
        with new_file(self.path(video)) as file:
            save_file({"feats": features}, file, {"facts": facts.model_dump_json()})

    def facts(self, video: Video) -> Facts | None:
        """The facts of a video whose features are there, and whose file is still the same."""
        try:
            with safe_open(self.path(video), "numpy") as file:
                facts = Facts.model_validate_json(file.metadata()["facts"])
            with video.path.open("rb") as content:
                same = hashlib.file_digest(content, "sha256").hexdigest() == facts.sha256
        except (OSError, SafetensorError, ValueError):
            return self._facts_of_before(video)
        return facts if same else None

    def _facts_of_before(self, video: Video) -> Facts | None:
        if self.earlier is None or not self.earlier.knows(video):
            return None
        row = self.earlier.rows[video.name]
        known = {name: getattr(row, name) for name in Facts.model_fields}
        return Facts.model_validate(known) if row.state == "done" else None

    def features(self, video: Video) -> NDArray[np.float32]:
        try:
            with safe_open(self.path(video), "numpy") as file:
                features: NDArray[np.float32] = file.get_tensor("feats")
        except (OSError, SafetensorError):
            if self.earlier is None:
                raise
            return self.earlier.features(video)
        return features

    def put_in_place(self, written: Path, target: Path) -> None:
        """Move the new folder to `target`. What was there is kept here until then, wherever this is interrupted."""
        if target.exists():
            remove(self.folder / EARLIER)
            target.rename(self.folder / EARLIER)
        rename(written, target)


@contextmanager
def _kept_beside(target: Path, settings: Settings) -> Iterator[_Kept]:
    """The folder of what an interrupted call left, empty if that had other settings.

    Raises InputError if another call uses it.
    """
    folder = target.with_name(f"{target.name}.unfinished")
    folder.mkdir(exist_ok=True)
    note = folder / SETTINGS
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"--out {target}: another `bench extract` is writing it; wait, or name another folder"
            ) from error
        text = settings.model_dump_json()
        if not note.is_file() or note.read_text(encoding="utf-8") != text:
            for left in folder.iterdir():
                remove(left)
            note.write_text(text, encoding="utf-8")
        places = [place for place in (target, folder / EARLIER) if (place / SETTINGS).is_file()]
        earlier = Extracted.read(places[0]) if places else None
        same = earlier is not None and earlier.settings.model_copy(update={"root": None}) == settings
        yield _Kept(folder, earlier if same else None)
    finally:
        os.close(descriptor)


def _extract_each(
    videos: Collection, using: Extractor, kept: _Kept, jobs: int, progress: Progress, stop_at_failures: bool
) -> list[Facts]:
    """The facts of every video, whose features are then kept."""
    found = {number: facts for number, video in enumerate(videos.videos) if (facts := kept.facts(video))}
    missing, failed = [number for number in range(len(videos.videos)) if number not in found], 0
    with progress.task("extract", len(missing)) as task:
        for outcome in decoded([videos.videos[number].path for number in missing], using.sampling, jobs):
            number = missing[outcome.number]
            facts = found[number] = _computed(videos.videos[number], outcome, using.backbone, kept)
            if stop_at_failures and facts.reason is not None:
                raise VideoFailedError(f"{videos.videos[number].path}: {facts.reason}")
            failed += facts.reason is not None
            task.advance(f"{failed} failed" if failed else "")
    return [found[number] for number in range(len(videos.videos))]


def _computed(video: Video, outcome: Decoded, backbone: Backbone, kept: _Kept) -> Facts:
    if outcome.pixels is None:
        return outcome.facts
    features = backbone.features(outcome.pixels)
    if not np.isfinite(features).all():
        return outcome.facts.model_copy(update={"reason": "the backbone gives values for it that are not finite"})
    kept.put(video, outcome.facts, features)
    return outcome.facts


def _rows(videos: Collection, facts: list[Facts]) -> list[Row]:
    rows: list[Row] = []
    places = dict.fromkeys(SPLITS, 0)
    for video, found in zip(videos.videos, facts, strict=True):
        row = Row(path=video.name, state="failed", labels=video.labels, split=video.split, **found.model_dump())
        if found.reason is None:
            row.state, row.row = "done", places[video.split]
            places[video.split] += 1
        rows.append(row)
    reason = "the end of its name is not that of a video file; list it in a CSV if it is one"
    return rows + [Row(path=name, state="left out", reason=reason) for name in videos.left_out]
