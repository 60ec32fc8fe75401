"""The official splits of UCF101 and HMDB51, as their authors' text files give them."""

from collections.abc import Callable, Iterator
from pathlib import Path

from bench.base.errors import InputError
from bench.base.files import require_file, unreadable
from bench.base.text import one_line
from bench.data.description import SplitName
from bench.video.sources import Collection, Video

SPLIT_NUMBERS = (1, 2, 3)
Listed = tuple[str, str, SplitName]
"""The path of a video below the folder of its dataset, its class, its split."""


def official(name: str, videos: Path, splits: Path, number: int) -> Collection:
    """The videos of a dataset known by name, in its official split `number` (1, 2 or 3): test videos are the queries.

    Raises InputError if a file of the splits is missing or malformed, or none of the videos is there.
    """
    title, read = KNOWN[name]
    if number not in SPLIT_NUMBERS:
        raise InputError(f"--split {number}: {title} has the official splits 1, 2 and 3")
    for option, folder in (("--videos", videos), ("--splits", splits)):
        if not folder.is_dir():
            raise InputError(f"{option} {folder}: no such folder; name the one of {title}")
    listed = list(read(splits, number))
    found = [Video(videos / path, path, (label,), split) for path, label, split in listed]
    if not any(video.path.exists() for video in found):
        raise InputError(
            f"--videos {videos}: holds none of the {len(found):,} videos that {splits} lists, such as {found[0].name}; "
            "name the folder whose sub-folders are the classes"
        )
    classes = sorted({label for _, label, _ in listed})
    return Collection(videos, found, classes, title=f"{title}, split {number}", name=name)


def _ucf101(splits: Path, number: int) -> Iterator[Listed]:
    """`trainlist01.txt`, `testlist01.txt`: `Class/v_Class_g01_c01.avi`, in the former with the number of the class."""
    parts: tuple[tuple[SplitName, str], ...] = (
        ("train", f"trainlist0{number}.txt"),
        ("test", f"testlist0{number}.txt"),
    )
    for split, name in parts:
        for line, text in _lines(splits / name):
            path = text.split()[0]
            label, _, file = path.partition("/")
            if not file:
                raise InputError(f"{splits / name}: line {line} is '{one_line(text)[:100]}', not Class/video.avi")
            yield path, label, split


def _hmdb51(splits: Path, number: int) -> Iterator[Listed]:
    """`CLASS_test_split1.txt` for every class: `video.avi 1` for training, 2 for testing, 0 for neither."""
    end = f"_test_split{number}.txt"
    found = sorted(splits.glob(f"*{end}"))
    if not found:
        raise InputError(
            f"--splits {splits}: holds no file such as brush_hair{end}; name the folder of HMDB51's splits"
        )
    parts: dict[str, SplitName | None] = {"0": None, "1": "train", "2": "test"}
    for path in found:
        label = path.name.removesuffix(end)
        for line, text in _lines(path):
            name, _, part = text.rpartition(" ")
            if part not in parts or not name:
                raise InputError(f"{path}: line {line} is '{one_line(text)[:100]}', not video.avi and 0, 1 or 2")
            split = parts[part]
            if split is not None:
                yield f"{label}/{name.strip()}", label, split


KNOWN: dict[str, tuple[str, Callable[[Path, int], Iterator[Listed]]]] = {
    "ucf101": ("UCF101", _ucf101),
    "hmdb51": ("HMDB51", _hmdb51),
}
"""Title and reader by name."""


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not empty, with their numbers."""
    require_file(path, "download the dataset's official splits, and name their folder with --splits")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text; download the dataset's official splits again") from error
    except OSError as error:
        raise unreadable(path, error) from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line.strip()
