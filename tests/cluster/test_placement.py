"""Placed datasets hold the same values, to the bit; a node's folder is its user's alone; files keep their places."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.cluster import placement
from bench.cluster.parcels import Incoming, Piece, pack, pieces, unpack
from bench.cluster.placement import PlacedArray, PlacedDataset, chunk_of, describe, place
from bench.cluster.scratch import VARIABLE, locked, run_folder, scratch
from bench.context import Stopped
from bench.data.dataset import Dataset, Split
from bench.data.features import ArrayFeatures
from bench.data.precision import Precision, as_float32, as_stored
from bench.errors import InputError


@pytest.fixture(autouse=True)
def own_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


class StoredFeatures(ArrayFeatures):
    """Features that say in which precision they are stored."""

    def __init__(self, values: NDArray[np.float32], precision: Precision) -> None:
        super().__init__(as_float32(as_stored(values, precision), precision))
        self._precision = precision

    @property
    def dtype(self) -> Precision:
        return self._precision


def put(data: Dataset, calls: list[tuple[str, int, int]] | None = None, stop: bool = False) -> Path:
    def chunks(array: PlacedArray) -> Iterator[NDArray[Any]]:
        for start, end in array.chunks():
            if calls is not None:
                calls.append((array.file, start, end))
            yield chunk_of(data, array.file, start, end)

    return place(data.summary.fingerprint, lambda: describe(data), chunks, lambda: stop, lambda line: None)


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "float32", "float64"])
def test_values_are_the_same_to_the_bit(tiny: Dataset, precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "CHUNK_BYTES", 10_000)  # several chunks a file
    train, query, gallery = (
        Split(StoredFeatures(split.features[:], precision), split.labels)
        for split in (tiny.train, tiny.query, tiny.gallery)
    )
    data = Dataset(tiny.summary, train, query, gallery, tiny.class_names)
    folder = put(data)
    found = PlacedDataset(folder).load()
    assert PlacedDataset(folder).summary() == data.summary
    assert found.summary == data.summary
    assert found.class_names == data.class_names
    for name in ("train", "query", "gallery"):
        there, here = getattr(data, name), getattr(found, name)
        assert here.features.dtype == ("float32" if precision == "float64" else precision)
        assert here.features[:].tobytes() == there.features[:].tobytes()
        np.testing.assert_array_equal(here.labels, there.labels)
    items = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 4}[precision]
    size = (folder / "train.safetensors").stat().st_size
    assert 0 < size - items * 40 * 25 * 32 < 200  # nothing but a header beside the values


@pytest.mark.parametrize("part", ["train", "query"])
def test_a_gallery_that_plays_another_part_too_is_placed_once(tiny: Dataset, part: str) -> None:
    query = Split(tiny.query.features)
    data = Dataset(tiny.summary, tiny.train, query, tiny.train if part == "train" else query, ("a", "b", "c"))
    folder = put(data)
    found = PlacedDataset(folder).load()
    assert found.gallery is getattr(found, part)
    assert found.train.features[:].tobytes() == tiny.train.features[:].tobytes()
    assert found.query.features[:].tobytes() == tiny.query.features[:].tobytes()
    assert found.query.labels is None
    assert not (folder / "gallery.safetensors").exists()


def test_what_is_there_is_used_and_what_was_cleared_away_comes_again(tiny: Dataset) -> None:
    calls: list[tuple[str, int, int]] = []
    folder = put(tiny, calls)
    files = [array.file for array in describe(tiny).arrays]
    assert [file for file, *_ in calls] == files
    assert put(tiny, calls) == folder
    assert len(calls) == len(files)
    (folder / "query.safetensors").unlink()
    put(tiny, calls)
    assert len(calls) == 2 * len(files)


def test_no_room_is_one_line(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.data.space.free_space", lambda folder: 1000)
    with pytest.raises(InputError, match=r"dataset tiny takes .* the disk has 0\.0 MB free; .*VHBENCH_SCRATCH"):
        put(tiny)


def test_waiting_for_another_run_can_be_stopped(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(Stopped), locked(tmp_path / "lock", lambda: True):
        pass


def test_the_folder_is_for_its_user_alone(own_scratch: Path) -> None:
    folder = scratch()
    assert folder.parent == own_scratch
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with pytest.raises(InputError, match="is not a folder for this user alone"):
        scratch()
    folder.chmod(0o700)
    folder.rename(own_scratch / "elsewhere")
    folder.symlink_to(own_scratch / "elsewhere")
    with pytest.raises(InputError, match="is not a folder for this user alone"):
        scratch()


def test_folders_of_dead_runs_go_and_those_of_others_stay() -> None:
    dead = scratch() / "run-dead"
    dead.mkdir()
    (dead / "lock").touch()
    with run_folder() as first:
        assert not dead.exists()
        with run_folder() as second:
            assert first.is_dir()
            assert second != first
        assert not second.exists()
    assert not first.exists()


@pytest.mark.parametrize("size", [0, 1, 10, 11, 25])
def test_files_travel_in_pieces(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.cluster.parcels.PIECE_BYTES", 10)
    content = os.urandom(size)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_bytes(content)
    sent = list(pieces(tmp_path, "a/b"))
    assert [len(piece.content) for piece in sent] == {0: [0], 1: [1], 10: [10], 11: [10, 1], 25: [10, 10, 5]}[size]
    incoming = Incoming(tmp_path / "there")
    for _ in range(2):  # a later state takes the first one's place
        *others, last = [incoming.take(piece) for piece in sent]
        assert set(others) <= {None}
        assert last is not None
        assert last.read_bytes() == content


@pytest.mark.parametrize("name", ["/etc/passwd", "../record.json", "a/../../b", ""])
def test_no_file_leaves_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no name within a run's folder"):
        Incoming(tmp_path).take(Piece(name, b"x", True))


def test_plugins_travel_as_text(tmp_path: Path) -> None:
    source = tmp_path / "given"
    (source / "package/inner").mkdir(parents=True)
    for name in ("alone.py", "package/__init__.py", "package/inner/__init__.py", "package/inner/more.py"):
        (source / name).write_text(f"# {name} é", encoding="utf-8")
    (source / "package/data.bin").write_bytes(b"left behind")
    alone, package = unpack(pack([source / "alone.py", source / "package"]), tmp_path / "there")
    assert alone.name == "alone.py"
    assert alone.read_bytes() == (source / "alone.py").read_bytes()
    found = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert found == {"__init__.py", "inner/__init__.py", "inner/more.py"}
    assert (package / "inner/more.py").read_bytes() == (source / "package/inner/more.py").read_bytes()
