"""The videos of a folder or a table, with their labels, and the split of each."""

import csv
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.base.errors import InputError
from bench.base.files import is_litter, require_file, unreadable
from bench.base.paths import named_path
from bench.base.text import one_line
from bench.data.description import SPLITS, SplitName

SUFFIXES = {
    ".3g2", ".3gp", ".asf", ".avi", ".dv", ".f4v", ".flv", ".gif", ".h264", ".hevc", ".ivf", ".m2ts", ".m2v", ".m4v",
    ".mjpeg", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".obu", ".ogg", ".ogv", ".qt",
    ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
}  # fmt: skip
"""The ends of names of video files, in lower case; other files in a folder are left out."""
TEST_SHARE = 0.25


@dataclass(frozen=True)
class Video:
    """A video file, and what is said of it."""

    path: Path
    name: str
    """Its path as the source has it, as text."""
    labels: tuple[str, ...] = ()
    split: SplitName = "train"


@dataclass(frozen=True)
class Collection:
    """Videos to extract, in a fixed order."""

    root: Path
    """The folder that their names refer to."""
    videos: Sequence[Video]
    classes: Sequence[str]
    """The names of all labels, in the order of the columns of the tables; empty without labels."""
    left_out: Sequence[str] = ()
    """Names of files that are no videos by their suffix."""
    title: str | None = None
    name: str | None = None

    @property
    def sizes(self) -> dict[SplitName, int]:
        """The number of videos of each split that has any."""
        counted = Counter(video.split for video in self.videos)
        return {split: counted[split] for split in SPLITS if counted[split]}

    @property
    def roles(self) -> tuple[SplitName, SplitName]:
        """The split of queries, and the one that they search: `bench run` does the same where nothing is said."""
        if "query" in self.sizes:
            return "query", "test"
        if "test" in self.sizes:
            return "test", "train" if self.classes else "test"
        return "train", "train"


def find_videos(place: Path, test_share: float | None = None) -> Collection:
    """The videos of a folder, or those listed in a CSV file.

    `test_share`: the share of every class that become queries, if nothing else says it; None: a quarter of labelled
    videos, and no unlabelled ones. They are chosen by their names, so that the same call chooses the same.

    Raises InputError if there are none, or the table is malformed.
    """
    if place.is_dir():
        found, divided = in_folder(place), False
    elif place.suffix.lower() == ".csv":
        found, divided = in_table(place)
    else:
        missing = "no such folder" if not os.path.lexists(place) else "is neither a folder nor a CSV file"
        raise InputError(f"{place}: {missing}; name a folder with videos, or a CSV with the column path")
    if divided:
        if test_share is not None:
            raise InputError(f"--test-share {test_share:g}: {place} has splits already; leave the option out")
        return found
    share = test_share if test_share is not None else TEST_SHARE if found.classes else 0
    return replace(found, videos=_divide(found.videos, share))


def in_folder(root: Path, *, mixed: bool = False) -> Collection:
    """The videos of a folder and all below it, links followed; two or more sub-folders with videos are classes.

    Raises InputError if there are none or, unless `mixed`, some lie in sub-folders and others do not.
    """
    names = [path.relative_to(root) for path in _files(root)]
    videos = [name for name in names if name.suffix.lower() in SUFFIXES]
    if not videos:
        others = f" among {len(names)} files" if names else ""
        raise InputError(f"{root}: holds no videos{others}; name the folder that does, or list them in a CSV")
    above = sorted({name.parts[0] for name in videos if len(name.parts) > 1})
    outside = [name for name in videos if len(name.parts) == 1]
    if above and outside and not mixed:
        raise InputError(
            f"{root}: some videos lie in sub-folders ({one_line(above[0])}), others do not "
            f"({one_line(outside[0].name)}); move each into the folder of its class, or list them in a CSV"
        )
    classes = above if len(above) > 1 and not outside else []
    return Collection(
        root,
        [Video(root / name, as_text(name), (as_text(name.parts[0]),) if classes else ()) for name in videos],
        list(map(as_text, classes)),
        [as_text(name) for name in names if name.suffix.lower() not in SUFFIXES],
    )


def _files(folder: Path, above: tuple[tuple[int, int], ...] = ()) -> Iterator[Path]:
    """All files below a folder, in the order of their names."""
    state = folder.stat()
    here = state.st_dev, state.st_ino
    if here in above:  # a link to a folder above
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or is_litter(path.name):
            continue
        if path.is_dir():
            yield from _files(path, (*above, here))
        else:
            yield path


def as_text(name: str | Path) -> str:
    """A path as text, although the names of files may be any bytes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def in_table(path: Path) -> tuple[Collection, bool]:
    """The videos listed in a CSV file, and whether it has splits.

    Columns: `path`, from the file's folder on; `label`, or several separated by `;`; `split`: train, test or query.
    Raises InputError with the line if it is malformed.
    """
    require_file(path, "name a CSV file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text; save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{path}: is no CSV ({error}); save it again") from error
    except OSError as error:
        raise unreadable(path, error) from error
    columns = [name.strip().lower() for name in rows[0]] if rows else []
    columns = ["label" if name == "labels" else name for name in columns]
    unknown = [name for name in columns if name not in {"path", "label", "split"}]
    if "path" not in columns or unknown or len(set(columns)) < len(columns):
        found = one_line(", ".join(rows[0] if rows else []))[:200]
        raise InputError(f"{path}: its first line is '{found}'; expected the columns path, and optionally label, split")
    videos: dict[str, Video] = {}
    for line, row in enumerate(rows[1:], 2):
        if not any(map(str.strip, row)):
            continue
        if len(row) != len(columns):
            raise InputError(
                f"{path}: row {line} has {len(row)} fields for {len(columns)} columns; quote commas in names"
            )
        video = _listed(path, line, dict(zip(columns, row, strict=True)))
        if video.name in videos:
            raise InputError(f"{path}: row {line} names {one_line(video.name)} again; separate several labels by ;")
        videos[video.name] = video
    if not videos:
        raise InputError(f"{path}: lists no video; add a row for each")
    if "split" in columns and not any(video.split == "train" for video in videos.values()):
        raise InputError(f"{path}: no row has the split train, from which methods learn; give some rows that split")
    classes = sorted({label for video in videos.values() for label in video.labels})
    return Collection(path.parent, list(videos.values()), classes), "split" in columns


def _listed(table: Path, line: int, fields: dict[str, str]) -> Video:
    name = fields["path"]
    if not name or "\0" in name:
        raise InputError(f"{table}: row {line} names no file; fill in its path")
    split = fields.get("split", "train").strip().lower()
    if split not in SPLITS:
        raise InputError(f"{table}: row {line} has the split '{one_line(split)[:50]}'; expected train, test or query")
    labels = dict.fromkeys(label.strip() for label in fields.get("label", "").split(";") if label.strip())
    return Video(table.parent / named_path(name), name, tuple(labels), split)


def _divide(videos: Sequence[Video], share: float) -> list[Video]:
    """The videos, of which `share` in every class are test: those whose names have the smallest digests."""
    classes: dict[tuple[str, ...], list[Video]] = defaultdict(list)
    for video in videos:
        classes[video.labels].append(video)
    chosen: set[str] = set()
    for members in classes.values():
        # One of a class at least stays for training.
        count = min(round(share * len(members)), len(members) - 1)
        chosen.update(sorted((video.name for video in members), key=_digest)[:count])
    return [replace(video, split="test" if video.name in chosen else "train") for video in videos]


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
