"""Conversion: the same numbers in fewer bytes, who queries whom kept, whole or absent."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat

import bench
from bench.base.errors import InputError
from bench.base.progress import SilentProgress
from bench.cli import main
from bench.data import features as features_module
from bench.data.convert import Conversion
from bench.data.dataset import Dataset
from bench.data.folder import FolderSource
from bench.data.precision import Precision
from tests.conftest import write_split

VIDEO_BYTES = 25 * 32 * 4


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten videos a block."""
    monkeypatch.setattr(features_module.Features.blocks, "__defaults__", (10 * VIDEO_BYTES,))


def converted(folder: Path, precision: Precision, out: Path) -> Dataset:
    Conversion(FolderSource(folder).load(), precision, out).write(SilentProgress())
    return FolderSource(out).load()


def splits(data: Dataset) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    for split in (data.train, data.query, data.gallery):
        yield split.features[:], split.labels


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "float32"])
def test_the_same_numbers_rounded_to_the_precision(feature_folder: Path, tmp_path: Path, precision: Precision) -> None:
    before = FolderSource(feature_folder).load()
    after = converted(feature_folder, precision, tmp_path / "out")
    kind = getattr(torch, precision)
    for (features, labels), (got, got_labels) in zip(splits(before), splits(after), strict=True):
        np.testing.assert_array_equal(got, torch.from_numpy(features).to(kind).float().numpy())
        np.testing.assert_array_equal(got_labels, labels)
    assert after.train.features.dtype == precision
    size = sum(path.stat().st_size for path in (tmp_path / "out").glob("*.safetensors"))
    assert size == pytest.approx(52 * 25 * 32 * (4 if precision == "float32" else 2), abs=300)


def test_other_programs_read_the_file(feature_folder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    converted(feature_folder, "float16", tmp_path / "out")
    tensors = load_file(tmp_path / "out" / "train_feats.safetensors")
    expected = FolderSource(feature_folder).load().train.features[:].astype(np.float16)
    np.testing.assert_array_equal(tensors["feats"], expected)


def test_who_queries_whom_is_kept_and_nothing_is_written_twice(feature_folder: Path, tmp_path: Path) -> None:
    data = converted(feature_folder, "float16", tmp_path / "training gallery")
    assert data.gallery is data.train
    assert names(tmp_path / "training gallery") == {"train", "test"}

    (feature_folder / "train_labels.mat").unlink()
    data = converted(feature_folder, "float16", tmp_path / "self search")
    assert data.gallery is data.query
    assert data.train.labels is None
    assert names(tmp_path / "self search") == {"train", "test"}

    write_split(feature_folder, "query", 5, 3)
    data = converted(feature_folder, "float16", tmp_path / "separate queries")
    assert (len(data.query.features), len(data.gallery.features)) == (5, 12)
    assert names(tmp_path / "separate queries") == {"train", "test", "query"}

    (feature_folder / "dataset.toml").write_text('query = "train"\ngallery = "train"\n')
    write_split(feature_folder, "train", 40, 0)
    data = converted(feature_folder, "float16", tmp_path / "all one")
    assert data.train is data.query is data.gallery
    assert names(tmp_path / "all one") == {"train"}


def names(folder: Path) -> set[str]:
    return {path.name.removesuffix("_feats.safetensors") for path in folder.glob("*.safetensors")}


def test_parts_are_joined_and_the_description_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for number in (1, 2):
        with h5py.File(folder / f"part{number}.h5", "w") as file:
            file["x"] = np.full((13, 25, 32), number, dtype=np.float32)
        savemat(folder / f"part{number}.mat", {"y": np.eye(13, 3) + np.eye(13, 3, -3)})
    (folder / "dataset.toml").write_text(
        'name = "Two Parts"\ntitle = "Zwei Teile – ½"\nquery = "train"\ngallery = "train"\nstand_in = true\n'
        'class_names = ["a", "b \\"c\\"", "d"]\n[files.train]\nfeatures = ["part1.h5", "part2.h5"]\n'
        'labels = ["part1.mat", "part2.mat"]\nfeatures_key = "x"\nlabels_key = "y"\n'
        "[recommended.mcmsh]\nanchors = 2\nalpha = 0.5\n"
    )
    data = converted(folder, "bfloat16", tmp_path / "out")
    np.testing.assert_array_equal(data.train.features[:][:, 0, 0], [1] * 13 + [2] * 13)
    assert (data.summary.name, data.summary.title, data.summary.stand_in) == ("two-parts", "Zwei Teile – ½", True)
    assert data.class_names == ("a", 'b "c"', "d")
    assert data.recommended == {"mcmsh": {"anchors": 2, "alpha": 0.5}}


@pytest.mark.parametrize(("method", "settings"), [("itq", {}), ("mcmsh", {"epochs": 1, "anchors": 8, "hidden": 16})])
def test_training_on_converted_float32_gives_the_same_codes(
    feature_folder: Path, tmp_path: Path, method: str, settings: dict[str, Any]
) -> None:
    before = FolderSource(feature_folder).load()
    after = converted(feature_folder, "float32", tmp_path / "out")
    first, second = (
        bench.fit(method, data, bits=8, seed=0, **settings).encode(data.query.features) for data in (before, after)
    )
    np.testing.assert_array_equal(first, second)


class Killing(SilentProgress):
    """Kills the process after so many blocks, as a job scheduler does: nothing can be cleaned up."""

    def __init__(self, blocks: int) -> None:
        self.left = blocks

    @contextmanager
    def task(self, description: str, steps: int) -> Iterator["Killing"]:
        yield self

    def advance(self, status: str = "") -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


class Interrupting(Killing):
    """Raises KeyboardInterrupt after so many blocks."""

    def advance(self, status: str = "") -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def beside(folder: Path) -> list[str]:
    return [path.name for path in folder.parent.iterdir() if path.name.startswith(".")]


# Four blocks of training videos, two of test videos.
@pytest.mark.parametrize("blocks", [1, 4, 5])
def test_what_was_killed_is_no_dataset_and_starts_again(feature_folder: Path, tmp_path: Path, blocks: int) -> None:
    data = FolderSource(feature_folder).load()
    Conversion(data, "float32", tmp_path / "at once").write(SilentProgress())
    conversion = Conversion(data, "float32", tmp_path / "killed")
    # A fork, which needs no torch: float32 is written by numpy alone.
    child = multiprocessing.get_context("fork").Process(target=conversion.write, args=(Killing(blocks),))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    assert len(beside(tmp_path / "killed")) == 1
    conversion.write(SilentProgress())
    assert contents(tmp_path / "killed") == contents(tmp_path / "at once")
    assert beside(tmp_path / "killed") == []


def test_what_was_interrupted_leaves_nothing(feature_folder: Path, tmp_path: Path) -> None:
    conversion = Conversion(FolderSource(feature_folder).load(), "float16", tmp_path / "here" / "out")
    with pytest.raises(KeyboardInterrupt):
        conversion.write(Interrupting(5))
    assert list((tmp_path / "here").iterdir()) == []


def test_a_folder_with_files_is_left_alone(
    feature_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    converted(feature_folder, "float16", out)
    for folder in (out, feature_folder):
        before = contents(folder)
        with pytest.raises(InputError, match="holds files already; remove them, or name another folder"):
            converted(feature_folder, "float16", folder)
        assert contents(folder) == before
    with pytest.raises(InputError, match="is a file; name a folder"):
        converted(feature_folder, "float16", feature_folder / "train_feats.h5")
    (tmp_path / "empty").mkdir()
    converted(feature_folder, "float16", tmp_path / "empty")
    assert contents(tmp_path / "empty") == contents(out)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match="cannot be replaced by a new folder; name a folder inside it"):
        converted(feature_folder, "float16", Path())


@pytest.mark.parametrize(
    ("value", "precision", "message"),
    [
        (
            70000.0,
            "float16",
            r"video 17 of split 'train' has a value of 70000, beyond float16's 65504; convert --to",
        ),
        (-70000.0, "float16", r"video 17 of split 'train' has a value of 70000"),
        (3.4e38, "bfloat16", r"beyond bfloat16's 3\.38953e\+38"),
    ],
)
def test_values_that_do_not_fit(
    feature_folder: Path, tmp_path: Path, value: float, precision: Precision, message: str
) -> None:
    with h5py.File(feature_folder / "train_feats.h5", "r+") as file:
        file["feats"][17, 3, 2] = value
    with pytest.raises(InputError, match=message):
        converted(feature_folder, precision, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert beside(tmp_path / "out") == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(
    feature_folder: Path, tmp_path: Path, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(feature_folder / "train_feats.h5", "r+") as file:
        file["feats"][33, 3, 2] = value
    # Of large files loading looks at a sample only.
    monkeypatch.setattr("bench.data.folder.require_finite", lambda *_: None)
    data = FolderSource(feature_folder).load()
    with pytest.raises(InputError, match=r"video 33 of split 'train' has NaN or infinite features"):
        Conversion(data, "float32", tmp_path / "out").write(SilentProgress())


def test_no_room(feature_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.base.files.free_space", lambda folder: 1000)
    with pytest.raises(InputError, match=r"the conversion takes 0\.1 MB, the disk has 0\.0 MB free"):
        converted(feature_folder, "float16", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(feature_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    call = ["data", "convert", str(feature_folder), "--to", "float16", "--out", str(out)]
    assert main(call) == 0
    output, errors = capsys.readouterr()
    assert output == f"{out}\n"
    assert "0.1 MB in float16, " in errors
    assert FolderSource(out).load().train.features.dtype == "float16"
    assert main([*call[:4], "int8", *call[5:]]) == 2
    assert "--to int8: expected one of float16, bfloat16, float32" in capsys.readouterr().err
