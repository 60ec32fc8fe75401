"""Files and folders written beside and renamed: whole or as before, whatever goes wrong."""

import errno
import os
import stat
from pathlib import Path
from typing import NoReturn

import pytest

from bench.base.atomic import new_file, new_folder, write_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with new_file(path) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a"]


def test_a_file_has_the_permissions_of_new_files(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with new_file(tmp_path / "a") as beside:
        beside.unlink()
        os.close(os.open(beside, os.O_CREAT | os.O_WRONLY, 0o600))
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("where", ["os.fsync", "os.replace", "pathlib.Path.write_bytes"])
def test_a_full_disk_leaves_the_file_of_before(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "a").write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(where, full)
        with pytest.raises(OSError, match="No space left"):
            write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_what_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    for new in (new_file, new_folder):
        with pytest.raises(KeyboardInterrupt), new(tmp_path / "a"):
            raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_folder_takes_no_others_place(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a") as folder:
        (folder / "first").mkdir()
    with pytest.raises(OSError, match="not empty"), new_folder(tmp_path / "a") as folder:
        (folder / "second").touch()
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["first"]


def test_file_systems_that_cannot_sync_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def only_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
