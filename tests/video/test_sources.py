"""The videos, labels and splits of a folder or a table."""

import os
from pathlib import Path

import pytest

from bench.base.errors import InputError
from bench.video.sources import Collection, find_videos


def fill(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def listed(found: Collection) -> list[tuple[str, tuple[str, ...], str]]:
    return [(video.name, video.labels, video.split) for video in found.videos]


def test_sub_folders_are_classes_and_a_quarter_of_each_are_queries(tmp_path: Path) -> None:
    names = [f"{label}/{number}.mp4" for label in ("run", "jump") for number in range(8)]
    found = find_videos(fill(tmp_path, *names, "run/deeper/9.MKV"))
    assert found.classes == ["jump", "run"]
    assert [name for name, _, _ in listed(found)] == sorted([*names, "run/deeper/9.MKV"])
    assert all(labels == (name.split("/")[0],) for name, labels, _ in listed(found))
    assert found.sizes == {"train": 13, "test": 4}
    assert found.roles == ("test", "train")
    tests = [video.labels[0] for video in found.videos if video.split == "test"]
    assert (tests.count("run"), tests.count("jump")) == (2, 2)
    # By name alone: the same in another place, and whatever else is there.
    assert listed(find_videos(fill(tmp_path / "other", *names, "run/deeper/9.MKV"))) == listed(found)


def test_the_share_of_queries_can_be_set(tmp_path: Path) -> None:
    root = fill(tmp_path, *(f"{label}/{number}.mp4" for label in "ab" for number in range(4)), "c/only.mp4")
    assert find_videos(root, 0.5).sizes == {"train": 5, "test": 4}
    assert find_videos(root, 0).roles == ("train", "train")
    # One of each class stays for training.
    assert find_videos(root, 0.9).sizes == {"train": 3, "test": 6}


def test_a_flat_folder_has_no_labels_and_searches_itself(tmp_path: Path) -> None:
    found = find_videos(
        fill(tmp_path, "b c.mp4", "a\nb.webm", "é.mov", "notes.txt", "cover.JPG", ".hidden.mp4", "Thumbs.db")
    )
    assert [video.name for video in found.videos] == ["a\nb.webm", "b c.mp4", "é.mov"]
    assert (found.classes, found.roles, found.sizes) == ([], ("train", "train"), {"train": 3})
    assert found.left_out == ["cover.JPG", "notes.txt"]
    assert find_videos(tmp_path, 0.34).roles == ("test", "test")


def test_a_single_sub_folder_is_no_class(tmp_path: Path) -> None:
    found = find_videos(fill(tmp_path, "videos/a.mp4", "videos/b.mp4"))
    assert (found.classes, found.roles) == ([], ("train", "train"))


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", "a.mp4")
    fill(tmp_path / "set", "two/b.mp4")
    (tmp_path / "set/one").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/two/up").symlink_to(tmp_path / "set")
    (tmp_path / "set/two/broken.mp4").symlink_to("nowhere")
    found = find_videos(tmp_path / "set")
    assert [video.name for video in found.videos] == ["one/a.mp4", "two/b.mp4", "two/broken.mp4"]
    assert found.videos[0].path.read_text() == "a.mp4"


def test_names_that_are_no_text(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    try:
        Path(os.fsdecode(raw)).write_text("")
    except OSError:
        pytest.skip("this file system takes names that are text alone")
    (video,) = find_videos(tmp_path).videos
    assert video.name == "caf\\xe9.mp4"
    assert os.fsencode(video.path) == raw


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "holds no videos;"),
        (("notes.txt", "data.csv"), "holds no videos among 2 files"),
        (("a.mp4", "b/c.mp4"), r"some videos lie in sub-folders \(b\), others do not \(a.mp4\)"),
    ],
)
def test_folders_that_cannot_be_meant(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        find_videos(fill(tmp_path / "set", *names) if names else _made(tmp_path / "set"))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_no_such_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        find_videos(tmp_path / "missing")
    with pytest.raises(InputError, match="neither a folder nor a CSV"):
        find_videos(fill(tmp_path, "a.mp4") / "a.mp4")


def table(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_table_gives_paths_labels_and_splits(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        'path,labels,split\r\nclips/a.mp4,run; jump,train\r\n"with, comma.mp4",jump,Test\r\n\r\n'
        "/abs/c.avi,,query\r\nd.x,run,train\r\n",
        "utf-8-sig",
    )
    found = find_videos(path)
    assert listed(found) == [
        ("clips/a.mp4", ("run", "jump"), "train"),
        ("with, comma.mp4", ("jump",), "test"),
        ("/abs/c.avi", (), "query"),
        ("d.x", ("run",), "train"),
    ]
    assert found.videos[0].path == tmp_path / "clips/a.mp4"
    assert found.videos[2].path == Path("/abs/c.avi")
    assert found.classes == ["jump", "run"]
    assert found.roles == ("query", "test")


def test_a_table_without_splits_is_divided_as_a_folder_is(tmp_path: Path) -> None:
    rows = "".join(f"{label}/{number}.mp4,{label}\n" for label in "ab" for number in range(4))
    found = find_videos(table(tmp_path, "path,label\n" + rows))
    names = {video.name for video in found.videos if video.split == "test"}
    assert len(names) == 2
    root = fill(tmp_path / "set", *(f"{label}/{number}.mp4" for label in "ab" for number in range(4)))
    assert {video.name for video in find_videos(root).videos if video.split == "test"} == names
    unlabelled = find_videos(table(tmp_path, "path\nx.mp4\ny.mp4\n"))
    assert (unlabelled.sizes, unlabelled.roles) == ({"train": 2}, ("train", "train"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("a.mp4\nb.mp4\n", "its first line is 'a.mp4'; expected the columns path"),
        ("path,class\na.mp4,x\n", "its first line is 'path, class'; expected the columns path"),
        ("path,label,labels\na,b,c\n", "its first line"),
        ("path\n", "lists no video"),
        ("path,label\na.mp4\n", "row 2 has 1 fields for 2 columns"),
        ("path\na.mp4\na.mp4\n", "row 3 names a.mp4 again"),
        ("path,split\na.mp4,train\nb.mp4,val\n", "row 3 has the split 'val'; expected train, test or query"),
        ("path,split\na.mp4,test\n", "no row has the split train"),
        ("path,split\n,train\n", "row 2 names no file"),
    ],
)
def test_malformed_tables(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        find_videos(table(tmp_path, text))


def test_a_table_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not UTF-8"):
        find_videos(table(tmp_path, "path\né.mp4\n", "utf-16"))


def test_a_share_beside_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--test-share 0.5: .* has splits already"):
        find_videos(table(tmp_path, "path,split\na.mp4,train\n"), 0.5)
