"""Features in the forms in which people have them: the same numbers, or one line with a fix that can be followed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file
from scipy.io import savemat

import bench
from bench.base.errors import InputError
from bench.cli import main
from bench.data.folder import open_features

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.integers(-100, 100, (30, 4, 16)).astype(np.float32)
TRAIN = RANDOM.normal(size=(40, 4, 16)).astype(np.float32)
CLASSES = RANDOM.integers(0, 3, 30)
Write = Callable[[Path, NDArray[Any]], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset without the features of its thirty test videos."""
    np.save(tmp_path / "train_feats.npy", TRAIN)
    np.save(tmp_path / "test_labels.npy", CLASSES)
    return tmp_path


def hdf5(path: Path, array: NDArray[Any], key: str = "feats", **options: Any) -> None:
    with h5py.File(path, "a") as file:
        file.create_dataset(key, data=array, **options)


def matlab(path: Path, array: NDArray[Any], **options: Any) -> None:
    """As MATLAB saves with -v7.3: the axes in reverse order."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("feats", data=array.T, **options).attrs["MATLAB_class"] = np.bytes_("single")


def in_chunks(array: NDArray[Any]) -> dict[str, Any]:
    """Compressed in about three chunks along every axis."""
    return {"chunks": tuple(-(-size // 3) for size in array.shape), "compression": "gzip"}


FORMS: dict[str, tuple[str, Write]] = {
    "by MATLAB": ("a.h5", matlab),
    "by MATLAB, compressed": ("a.mat", lambda path, array: matlab(path, array, **in_chunks(array.T))),
    "by h5py": ("a.h5", hdf5),
    "by h5py, compressed": ("a.h5", lambda path, array: hdf5(path, array, **in_chunks(array))),
    "big-endian .npy": ("a.npy", lambda path, array: np.save(path, array.astype(array.dtype.newbyteorder(">")))),
    ".npy": ("a.npy", np.save),
    ".safetensors": ("a.safetensors", lambda path, array: save_file({"feats": array}, path)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "kind", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "float16", "float64"]
)
def test_numbers_of_any_type(tmp_path: Path, form: str, kind: str) -> None:
    name, write = FORMS[form]
    stored = (np.abs(TRUTH) if kind.startswith("u") else TRUTH).astype(kind)
    write(tmp_path / name, stored)
    features = open_features(tmp_path / name, "/feats/")
    rows = np.array([17, 3, 3, 29, 0])
    assert features.shape == (30, 4, 16)
    np.testing.assert_array_equal(features[:], stored.astype(np.float32))
    np.testing.assert_array_equal(features[5:9], stored[5:9].astype(np.float32))
    np.testing.assert_array_equal(features[rows], stored[rows].astype(np.float32))
    np.testing.assert_array_equal(features.read_frames(rows, rows % 4), stored[rows, rows % 4].astype(np.float32))
    assert features[:].dtype == np.float32


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(480, 4), (30, 64, 1, 1), (30, 8, 8, 1, 1), (30, 8, 8, 1)])
def test_axes(tmp_path: Path, form: str, shape: tuple[int, ...]) -> None:
    """Pooled videos have one frame, also where a network left axes of length 1 behind the features."""
    name, write = FORMS[form]
    array = TRUTH.reshape(shape)
    write(tmp_path / name, array)
    expected = array.reshape(shape[0], -1, 8 if shape[1] == 8 else array[0].size)
    features = open_features(tmp_path / name)
    assert features.shape == expected.shape
    np.testing.assert_array_equal(features[3:7], expected[3:7])
    np.testing.assert_array_equal(features[[9, 1]], expected[[9, 1]])


def test_pooled_features_are_one_frame(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(folder / "train_feats.npy", TRAIN.mean(axis=1))
    np.save(folder / "test_feats.npy", TRUTH.mean(axis=1))
    data = bench.load_dataset(folder)
    assert capsys.readouterr().err == f"{data.summary.name}: one frame a video\n"
    np.testing.assert_array_equal(data.query.features[:], TRUTH.mean(axis=1)[:, None])
    assert bench.fit("itq", data, bits=8).encode(data.query.features).shape == (30, 8)


def a_video_a_file(folder: Path, videos: Any = TRUTH) -> list[str]:
    folder.mkdir()
    for number, video in enumerate(videos):
        np.save(folder / f"v{number:03}.npy", video)
    for other in (".DS_Store", "._v000.npy", "Thumbs.db", "list.txt"):
        (folder / other).write_text("no features")
    return [f"{folder.name}/v{number:03}.npy" for number in range(len(videos))]


@pytest.mark.parametrize("said", [None, "test_feats", "test_feats/", "test_feats/v*.npy", "*/v???.npy"])
@pytest.mark.parametrize("axes", [(4, 16), (1, 4, 16), (4, 16, 1, 1)])
def test_one_video_a_file(
    folder: Path, said: str | None, axes: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    a_video_a_file(folder / "test_feats", TRUTH.reshape(30, *axes))
    if said:
        (folder / "dataset.toml").write_text(f'[files.test]\nfeatures = "{said}"\n')
    np.testing.assert_array_equal(bench.load_dataset(folder).query.features[:], TRUTH)
    assert main(["data", "check", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "'feats' 30 × 4 × 16  ok (30 files)" in shown
    assert "complete and well-formed" in shown


def test_more_files_than_may_be_open(folder: Path) -> None:
    resource = pytest.importorskip("resource")
    names = ",\n".join(f'"{name}"' for name in a_video_a_file(folder / "t", np.repeat(TRUTH, 5, axis=0)[:, None]))
    np.save(folder / "test_labels.npy", np.repeat(CLASSES, 5))
    (folder / "dataset.toml").write_text(f"[files.test]\nfeatures = [{names}]\n")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (130, before[1]))
    try:
        data = bench.load_dataset(folder)
        np.testing.assert_array_equal(data.query.features[::-1], np.repeat(TRUTH, 5, axis=0)[::-1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("key", ["feats", "/", "deep/down/"])
@pytest.mark.parametrize("options", [{}, {"chunks": True, "compression": "gzip"}])
def test_one_video_a_dataset(folder: Path, key: str, options: dict[str, Any]) -> None:
    for number, video in enumerate(TRUTH):
        hdf5(folder / "test_feats.h5", video, f"{key}/v{number:03}", **options)
    (folder / "dataset.toml").write_text(f'[files.test]\nfeatures_key = "{key}"\n')
    data = bench.load_dataset(folder)
    np.testing.assert_array_equal(data.query.features[:], TRUTH)
    np.testing.assert_array_equal(data.query.features[[7, 2]], TRUTH[[7, 2]])


@pytest.mark.parametrize(
    "name", ["train_feats.npy", "test_feats.hdf5", "test_feats.mat", "test_feats", "test_labels.h5", "test_labels.hdf5"]
)
def test_the_usual_names_end_as_people_end_them(folder: Path, name: str) -> None:
    np.save(folder / "test_feats.npy", TRUTH)
    array, key = (np.eye(3)[CLASSES], "labels") if "labels" in name else (TRUTH, "feats")
    if not name.endswith(".npy"):
        (folder / f"{Path(name).stem}.npy").unlink()
        hdf5(folder / name, array, key)
    data = bench.load_dataset(folder)
    np.testing.assert_array_equal(data.query.features[:], TRUTH)
    np.testing.assert_array_equal(data.query.labels, np.eye(3)[CLASSES])


def test_training_and_encoding_without_labels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "test_labels.npy").unlink()
    np.save(folder / "test_feats.npy", TRUTH)
    data = bench.load_dataset(folder)
    assert data.query.labels is data.train.labels is None
    assert data.gallery is data.query
    assert (data.summary.classes, data.class_names) == (0, ())
    assert bench.fit("itq", data, bits=8).encode(data.query.features).shape == (30, 8)
    assert main(["data", "check", str(folder)]) == 0
    assert "complete and well-formed; no labels: quality is recall of exact neighbours" in capsys.readouterr().out


def test_labels_of_queries_alone_are_half_of_what_is_needed(folder: Path) -> None:
    np.save(folder / "test_feats.npy", TRUTH)
    np.save(folder / "query_feats.npy", TRUTH[:5])
    with pytest.raises(InputError, match=r"query_labels\.mat: no such file"):
        bench.load_dataset(folder)


@pytest.mark.parametrize("name", ["mine.npy", "mine_feats.npy"])
def test_a_single_file_is_a_dataset(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save(name, TRUTH)
    (tmp_path / "dataset.toml").write_text("of another dataset")
    data = bench.load_dataset(name)
    assert data.train is data.query is data.gallery
    assert data.query.labels is None
    before = data.summary.fingerprint
    np.save("mine_labels.npy", CLASSES + 1)
    data = bench.load_dataset(tmp_path / name)
    assert data.summary.name == Path(name).stem.replace("_", "-")
    assert data.summary.fingerprint != before
    np.testing.assert_array_equal(data.query.labels, np.eye(3)[CLASSES])


def unequal(folder: Path) -> None:
    a_video_a_file(folder / "test_feats", [video[: 4 - (number == 7)] for number, video in enumerate(TRUTH)])


def listed(folder: Path) -> None:
    names = a_video_a_file(folder / "t")
    (folder / "dataset.toml").write_text(f"[files.test]\nfeatures = {names}\n".replace("'", '"'))


def noted(features: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        a_video_a_file(folder / "t")
        (folder / "t" / "deep").mkdir()
        (folder / "dataset.toml").write_text(f'[files.test]\nfeatures = "{features}"\n')

    return make


def reversed_axes(train: int) -> Callable[[Path], object]:
    """Both splits as MATLAB's h5write stores them, without a word about it."""

    def make(folder: Path) -> None:
        np.save(folder / "train_feats.npy", np.ascontiguousarray(TRAIN[:train].T))
        np.save(folder / "test_feats.npy", np.ascontiguousarray(TRUTH.T))

    return make


def named(folder: Path) -> None:
    for number, video in enumerate(TRUTH):
        hdf5(folder / "test_feats.h5", video, f"v{number}")


DEFECTS: list[tuple[Callable[[Path], object], str]] = [
    (unequal, r"v007\.npy has .* = \(3, 16\), but the first, .*v000\.npy, has \(4, 16\); sample as many frames"),
    (listed, r"v000\.npy has shape \(4, 16\), one of several files: .* name a folder or a pattern such as"),
    (named, r"no dataset 'feats'; it holds v0, v1, .*\(features_key\); \"/\" is the name of all, one video each"),
    (noted("t/deep"), r"t/deep: holds no \.h5, .* name files, or a pattern such as \"t/deep/\*/\*\.npy\""),
    (noted("u/*.npy"), r"u/\*\.npy: fits no file; name a folder"),
    (noted("../*/*.npy"), r"dataset\.toml: .*\.\./\*/\*\.npy lies outside the folder"),
    (noted("/usr/*/*.npy"), r"dataset\.toml: /usr/\*/\*\.npy lies outside the folder"),
    (
        reversed_axes(30),
        r"shape \(30,\) for features \(16, 4, 30\), whose axes seem to be .* MATLAB .*; save",
    ),
    (
        reversed_axes(29),
        r"= \(4, 30\), but .* has \(4, 29\); they must agree; or the axes are .* as MATLAB",
    ),
    (
        lambda folder: savemat(folder / "test_feats.mat", {"feats": TRUTH}),
        r"test_feats\.mat: is a MATLAB file older than version 7\.3; save features with -v7\.3, or as \.npy",
    ),
]


@pytest.mark.parametrize(("make", "message"), DEFECTS)
def test_what_cannot_be_read_is_said(
    folder: Path, make: Callable[[Path], object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make(folder)
    with pytest.raises(InputError, match=message) as caught:
        bench.load_dataset(folder)
    assert "\n" not in str(caught.value)
    assert main(["data", "check", str(folder)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
