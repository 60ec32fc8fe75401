"""Fingerprints: of what files hold now, remembered only as long as nothing can have changed."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bench
from bench.base.errors import InputError
from bench.data.fingerprints import content_hash, likeness

OLD = 1_600_000_000 * 10**9


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VHBENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.npy"
    np.save(path, np.arange(200_000))
    os.utime(path, ns=(OLD, OLD))
    return path


def remembered(path: Path) -> list[Path]:
    folder = path.parent / "cache/fingerprints"
    return list(folder.iterdir()) if folder.exists() else []


def change(path: Path, array: NDArray[Any]) -> None:
    """Other contents in the same file, under the old date."""
    other = path.with_name("other.npy")
    np.save(other, array)
    with path.open("r+b") as file:
        file.write(other.read_bytes())
    os.utime(path, ns=(OLD, OLD))


def test_new_contents_of_the_same_size_and_date(path: Path) -> None:
    before = content_hash([path])
    size = path.stat().st_size
    change(path, np.arange(200_000)[::-1])
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (size, OLD)
    assert content_hash([path]) != before
    change(path, np.arange(200_000))
    assert content_hash([path]) == before


def test_a_file_is_read_once_after_its_clock_has_moved_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    before = content_hash([path])
    assert remembered(path) == []
    monkeypatch.setattr("bench.data.fingerprints.time.time_ns", lambda: now + 10**10)
    assert content_hash([path]) == before
    assert len(remembered(path)) == 1
    monkeypatch.setattr("bench.data.fingerprints.hashlib.file_digest", lambda *_: pytest.fail("read again"))
    assert content_hash([path]) == before


def test_a_file_system_that_keeps_no_time_of_change(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.stat

    def stat(self: Path, **options: bool) -> os.stat_result:
        state = real(self, **options)
        values = {name: getattr(state, name) for name in dir(state) if name.startswith("st_")}
        return os.stat_result(state[:10], values | {"st_ctime_ns": OLD}) if self == path else state

    monkeypatch.setattr(Path, "stat", stat)
    before = content_hash([path])
    assert len(remembered(path)) == 1
    change(path, np.arange(200_000) + 1)
    assert path.stat().st_ctime_ns == OLD
    assert content_hash([path]) != before


def test_a_copy_or_another_name_is_another_file_of_the_same_contents(path: Path) -> None:
    other = path.with_name("b.npy")
    other.write_bytes(path.read_bytes())
    assert content_hash([path]) == content_hash([other])
    assert likeness(path) != likeness(other)


def test_a_file_that_changes_while_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = hashlib.file_digest

    def changed(*arguments: object) -> object:
        os.truncate(path, 100)
        return real(*arguments)

    monkeypatch.setattr("bench.data.fingerprints.hashlib.file_digest", changed)
    with pytest.raises(InputError, match=r"a\.npy: was changed while it was read; try again"):
        content_hash([path])


@pytest.mark.parametrize("where", ["a file", "no home"])
def test_without_a_cache(path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = content_hash([path])
    if where == "a file":
        monkeypatch.setenv("VHBENCH_CACHE", str(path))
    else:
        monkeypatch.delenv("VHBENCH_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", lambda: Path("~nobody-of-this-name").expanduser())
    monkeypatch.setattr("bench.data.fingerprints.time.time_ns", lambda: 2 * OLD)
    assert content_hash([path]) == expected
    assert remembered(path) == []


def test_runs_of_other_features_are_other_runs(feature_folder: Path) -> None:
    features = feature_folder / "test_feats.h5"
    os.utime(features, ns=(OLD, OLD))
    before = bench.load_dataset(feature_folder).summary.fingerprint
    content = bytearray(features.read_bytes())
    content[-4:] = np.float32(0.5).tobytes()
    features.write_bytes(content)
    os.utime(features, ns=(OLD, OLD))
    assert bench.load_dataset(feature_folder).summary.fingerprint != before
