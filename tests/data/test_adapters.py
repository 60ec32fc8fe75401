"""Files of known datasets that are missing or malformed: one clear line each, and all of them in `bench data check`."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import loadmat, savemat

import bench
from bench.base.errors import InputError
from bench.base.progress import SilentProgress
from bench.cli import main
from bench.data.check import check_files
from bench.data.feature_files import FeatureFiles, Sizes
from bench.data.folder import FolderSource
from bench.data.stand_in import plan_stand_in
from bench.registry import load_registry

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stand-ins")
    for name in ("yfcc", "ucf101"):
        dataset = load_registry().datasets[name]
        assert issubclass(dataset, FeatureFiles)
        plan_stand_in(dataset, root / name, 0.001, 0, dimensions=8).write(SilentProgress())
    return root


@pytest.fixture
def root(stand_ins: Path, tmp_path: Path) -> Path:
    """Copies to damage: yfcc in parts, ucf101 searched in its training videos."""
    shutil.copytree(stand_ins, tmp_path / "root")
    return tmp_path / "root"


def features(path: Path, change: Callable[[NDArray[Any]], NDArray[Any]], key: str = "feats") -> None:
    with h5py.File(path) as file:
        array = change(file["feats"][:])
    with h5py.File(path, "w") as file:
        file[key] = array


def labels(path: Path, change: Callable[[NDArray[Any]], NDArray[Any]], key: str = "labels") -> None:
    savemat(path, {key: change(loadmat(path)["labels"])})


def with_nan(array: NDArray[Any]) -> NDArray[Any]:
    array[3, 2, 1] = np.nan
    return array


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


# What is done to which file of which dataset, and what both the reader and the check say of it.
DEFECTS: dict[str, tuple[str, str, Damage, str]] = {
    "wrong key": (
        "ucf101",
        "ucf_test_feats.h5",
        lambda path: features(path, lambda array: array, "features"),
        "no dataset 'feats'; it holds features",
    ),
    "wrong key of labels": (
        "ucf101",
        "ucf_test_labels.mat",
        lambda path: labels(path, lambda array: array, "re_label"),
        "no array 'labels'; it holds re_label",
    ),
    "label count": (
        "ucf101",
        "ucf_train_labels.mat",
        lambda path: labels(path, lambda array: array[1:]),
        r"the labels in 'labels' have shape \(9, 101\) for 10 videos",
    ),
    "not 0 or 1": (
        "ucf101",
        "ucf_train_labels.mat",
        lambda path: labels(path, lambda array: array * 2),
        "hold 2 at row 0, column 0; a table holds 1",
    ),
    "part of another width": (
        "yfcc",
        "yfcc_train_feats_4.h5",
        lambda path: features(path, lambda array: array[:, :, :5]),
        r"has \(frames, dimensions\) = \(25, 5\).*\(25, 8\)",
    ),
    "truncated": ("yfcc", "yfcc_test_feats_2.h5", truncate, "truncated"),
    "complex": (
        "ucf101",
        "ucf_train_feats.h5",
        lambda path: features(path, lambda array: array.astype(np.complex64)),
        "'feats' holds complex64; expected floats, integers",
    ),
    "NaN": ("ucf101", "ucf_train_feats.h5", lambda path: features(path, with_nan), "video 3 has NaN or infinite"),
    "four axes": (
        "ucf101",
        "ucf_train_feats.h5",
        lambda path: features(path, lambda array: array[None]),
        r"'feats' has shape \(1, 10, 25, 8\)",
    ),
    "missing part": ("yfcc", "yfcc_train_feats_7.h5", Path.unlink, "missing"),
    "missing labels": ("ucf101", "ucf_train_labels.mat", Path.unlink, "missing"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_loading_ends_in_one_line(root: Path, defect: str) -> None:
    name, file, damage, message = DEFECTS[defect]
    damage(root / name / file)
    with pytest.raises(InputError, match=message) as caught:
        bench.load_dataset(name, root=root)
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_check_names_the_file(root: Path, defect: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, file, damage, message = DEFECTS[defect]
    damage(root / name / file)
    assert main(["data", "check", name, "--data-root", str(root)]) == 2
    output = capsys.readouterr()
    assert re.search(message, output.err)
    assert file in output.err
    assert re.search("1 of [0-9]+ files are missing or invalid", output.err)
    assert output.err.count("\n") == 1
    (line,) = (line for line in output.out.splitlines() if line.startswith(file))
    assert re.search("missing|wrong", line)


def test_all_defects_are_told_at_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "yfcc" / "yfcc_train_feats_2.h5").unlink()
    truncate(root / "yfcc" / "query1000_feats.h5")
    labels(root / "yfcc" / "yfcc_test_labels_1.mat", lambda array: array[:, 1:])
    assert main(["data", "check", "yfcc", "--data-root", str(root)]) == 2
    output = capsys.readouterr()
    states = {line.split()[0]: line for line in output.out.splitlines()[2:] if line.startswith(("yfcc_", "query"))}
    assert len(states) == 15
    assert "missing: put it at" in states["yfcc_train_feats_2.h5"]
    assert "wrong: truncated" in states["query1000_feats.h5"]
    assert "(classes,) = (79,)" in states["yfcc_test_labels_1.mat"]
    assert sum("ok" in state for state in states.values()) == 12
    assert "yfcc: 3 of 15 files are missing or invalid" in output.err
    assert "ConMH" in output.err


def test_all_missing_files_are_told_before_a_run(root: Path) -> None:
    for part in (1, 5):
        (root / "yfcc" / f"yfcc_train_feats_{part}.h5").unlink()
    with pytest.raises(InputError, match="yfcc: 2 of 15 files are missing") as caught:
        bench.load_dataset("yfcc", root=root)
    assert "yfcc_train_feats_1.h5, yfcc_train_feats_5.h5; get them from the Baidu link" in str(caught.value)


def test_double_precision_is_read_and_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = bench.load_dataset("ucf101", root=root).train.features[:]
    features(root / "ucf101" / "ucf_train_feats.h5", lambda array: array.astype(np.float64))
    np.testing.assert_array_equal(bench.load_dataset("ucf101", root=root).train.features[:], before)
    assert main(["data", "check", "ucf101", "--data-root", str(root)]) == 0
    assert "ok (float64, read as float32)" in capsys.readouterr().out


SIZES = Sizes({"train": 40, "test": 12}, frames=25, dimensions=32, classes=3)


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        (SIZES, None),
        (Sizes({"train": 41, "test": 12}, 25, 32, 3), "40 videos in train_feats.h5; expected 41"),
        (Sizes({"train": 40, "test": 12}, 24, 32, 3), "(frames, dimensions) = (25, 32); expected (24, 32)"),
        (Sizes({"train": 40, "test": 12}, 25, 32, 4), "(classes,) = (3,); expected (4,)"),
    ],
)
def test_real_files_are_held_to_the_published_sizes(feature_folder: Path, sizes: Sizes, problem: str | None) -> None:
    layout = FolderSource(feature_folder).layout
    found = check_files(layout, sizes, all_values=False, progress=SilentProgress())
    problems = "; ".join(text for file in found for text in file.problems)
    assert (problem in problems) if problem else not problems


def test_stand_ins_are_not(feature_folder: Path) -> None:
    (feature_folder / "dataset.toml").write_text("stand_in = true\n")
    other = Sizes({"train": 9, "test": 9}, 9, 9, 9)
    layout = FolderSource(feature_folder).layout
    assert all(file.ok for file in check_files(layout, other, all_values=False, progress=SilentProgress()))


def test_large_files_are_sampled_unless_all_values_are_asked_for(
    feature_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = 4 * 25 * 32
    monkeypatch.setattr("bench.data.features.SAMPLED_BYTES", 10 * video)
    monkeypatch.setattr("bench.data.features.videos_a_block", lambda _: 1)
    # Of 40 videos 0, 4, 8, … are looked at: ten of them.
    with h5py.File(feature_folder / "train_feats.h5", "r+") as file:
        file["feats"][39, 0, 0] = np.inf
    layout = FolderSource(feature_folder).layout
    assert all(file.ok for file in check_files(layout, None, all_values=False, progress=SilentProgress()))
    problems = [file for file in check_files(layout, None, all_values=True, progress=SilentProgress()) if not file.ok]
    assert [file.path.name for file in problems] == ["train_feats.h5"]
    assert "video 39 has NaN or infinite" in problems[0].state


def test_a_note_goes_before_what_is_declared(root: Path) -> None:
    folder = root / "ucf101"
    (folder / "ucf_train_feats.h5").rename(folder / "renamed.h5")
    (folder / "dataset.toml").write_text(
        'name = "ucf101"\ntitle = "UCF, renamed"\n[files.train]\nfeatures = "renamed.h5"\n[recommended.lsh]\n'
    )
    data = bench.load_dataset("ucf101", root=root)
    assert data.summary.title == "UCF, renamed"
    assert data.gallery is data.train
    assert data.summary.train_videos == 10


def test_files_that_a_note_names_come_with_the_usual_key(tmp_path: Path) -> None:
    dataset = load_registry().datasets["activitynet"]
    assert issubclass(dataset, FeatureFiles)
    plan_stand_in(dataset, tmp_path, 0.001, 0, dimensions=8).write(SilentProgress())
    savemat(tmp_path / "converted.mat", {"labels": loadmat(tmp_path / "re_label.mat")["re_label"]})
    (tmp_path / "dataset.toml").write_text('[files.test]\nlabels = "converted.mat"\n')
    before = bench.load_dataset("activitynet", root=tmp_path).gallery.labels
    np.testing.assert_array_equal(before, loadmat(tmp_path / "re_label.mat")["re_label"])


def test_a_note_of_another_dataset_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.toml: describes 'ucf101', not 'hmdb51'"):
        bench.load_dataset("hmdb51", root=root / "ucf101")
