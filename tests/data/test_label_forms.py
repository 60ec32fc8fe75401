"""One truth about the classes of some videos, stored in every form that people have: always the same labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import savemat
from scipy.sparse import csc_matrix

import bench
from bench.base.errors import InputError
from bench.base.labels import Labels, as_labels, as_tables, require_alike
from bench.data.folder import FolderSource
from bench.data.label_files import labels_in

Write = Callable[[Path, NDArray[Any]], object]


def hdf5(path: Path, array: Any) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("labels", data=array)


def compressed(path: Path, array: Any) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("labels", data=array, chunks=True, compression="gzip", shuffle=True)


def matlab(path: Path, array: Any) -> None:
    """As MATLAB saves with -v7.3: the axes in reverse order."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["labels"] = np.atleast_2d(array).T
        file["labels"].attrs["MATLAB_class"] = np.bytes_("double")


def matlab_sparse(path: Path, array: Any) -> None:
    """As MATLAB saves a sparse matrix with -v7.3."""
    columns = [np.flatnonzero(column) for column in array.T]
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("labels")
        group.attrs["MATLAB_class"], group.attrs["MATLAB_sparse"] = np.bytes_("double"), np.uint64(len(array))
        group["jc"] = np.cumsum([0, *map(len, columns)]).astype("u8")
        if array.any():  # MATLAB leaves out what is empty
            group["ir"] = np.concatenate(columns).astype("u8")
            group["data"] = np.concatenate([column[column != 0] for column in array.T])


FILES: dict[str, tuple[str, Write]] = {
    "npy": ("labels.npy", np.save),
    "npy, by columns": ("labels.npy", lambda path, array: np.save(path, np.asfortranarray(array))),
    "npy, big-endian": ("labels.npy", lambda path, array: np.save(path, array.astype(array.dtype.newbyteorder(">")))),
    "MATLAB": ("labels.mat", lambda path, array: savemat(path, {"labels": array})),
    "MATLAB, compressed": ("labels.mat", lambda path, array: savemat(path, {"labels": array}, do_compression=True)),
    "MATLAB, sparse": ("labels.mat", lambda path, array: savemat(path, {"labels": csc_matrix(array.astype(float))})),
    "MATLAB 4": ("labels.mat", lambda path, array: savemat(path, {"labels": array.astype(float)}, format="4")),
    "MATLAB 7.3": ("labels.mat", matlab),
    "MATLAB 7.3, sparse": ("labels.mat", lambda path, array: matlab_sparse(path, np.atleast_2d(array))),
    "h5py": ("labels.mat", hdf5),
    "h5py, compressed": ("labels.h5", compressed),
}
TYPES = ["bool", "uint8", "int8", "int16", "uint32", "int64", "uint64", "float16", "float32", "float64"]


def read(folder: Path, form: str, array: NDArray[Any], videos: int) -> Labels:
    name, write = FILES[form]
    write(folder / name, array)
    return labels_in(folder / name, "/labels", (videos, 4, 999))


@pytest.mark.parametrize("form", FILES)
@given(
    seed=st.integers(0, 2**32 - 1),
    videos=st.integers(1, 12),
    classes=st.integers(2, 9),
    kind=st.sampled_from(TYPES),
    turned=st.booleans(),
    signed=st.booleans(),
)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_tables(
    *, tmp_path_factory: pytest.TempPathFactory, form: str, seed: int, videos: int, classes: int, kind: str,
    turned: bool, signed: bool,
) -> None:  # fmt: skip
    truth = np.random.default_rng(seed).random((videos, classes)) < 0.3
    stored = truth.astype(kind)
    if signed and np.dtype(kind).kind in "if":
        stored = np.where(truth, 1, -1).astype(kind)
    # A square table, and one of a single video, could be either: they are read as they lie there.
    turned = turned and videos not in (1, classes)
    found = read(tmp_path_factory.mktemp("labels"), form, stored.T if turned else stored, videos)
    np.testing.assert_array_equal(found.values, truth)
    assert found.values.dtype == np.uint8
    assert found.turned == turned


@pytest.mark.parametrize("form", FILES)
@given(
    seed=st.integers(0, 2**32 - 1),
    videos=st.integers(2, 12),
    start=st.sampled_from([0, 1, 7, 100]),
    kind=st.sampled_from(TYPES[1:]),
    axes=st.sampled_from([(-1,), (-1, 1), (1, -1)]),
)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_class_numbers(
    *, tmp_path_factory: pytest.TempPathFactory, form: str, seed: int, videos: int, start: int, kind: str,
    axes: tuple[int, ...],
) -> None:  # fmt: skip
    truth = np.random.default_rng(seed).integers(0, 4, videos) + start
    found = read(tmp_path_factory.mktemp("labels"), form, truth.astype(kind).reshape(axes), videos)
    np.testing.assert_array_equal(found.values, truth)
    (table,), names = as_tables([found.values], None)
    np.testing.assert_array_equal(table @ table.T > 0, truth[:, None] == truth)
    np.testing.assert_array_equal(table.sum(axis=1), 1)
    assert names == [str(number) for number in sorted(set(truth.tolist()))]


@pytest.mark.parametrize(
    ("array", "videos", "truth"),
    [
        ([0, 1, 1], 3, [0, 1, 1]),
        ([[0], [1], [1]], 3, [0, 1, 1]),
        ([[0, 1, 1]], 3, [0, 1, 1]),
        ([[5]], 1, [5]),
        ([[0], [0]], 2, [0, 0]),
        ([False, True], 2, [0, 1]),
        ([-1, 1, -1], 3, [0, 1, 0]),
        ([1.0, 2.0], 2, [1, 2]),
        ([2**62, 0], 2, [2**62, 0]),
        (["cat", "dog", "cat"], 3, ["cat", "dog", "cat"]),
        ([["cat"], ["dog"]], 2, ["cat", "dog"]),
        (np.array([b"cat", b"dog"]), 2, ["cat", "dog"]),
        ([[1, 0, 0]], 1, [[1, 0, 0]]),
        ([[0, 0], [0, 0]], 2, [[0, 0], [0, 0]]),
        ([[-1, -1], [-1, -1]], 2, [[0, 0], [0, 0]]),
        ([[1, -1], [-1, -1]], 2, [[1, 0], [0, 0]]),
        ([[1, 0], [1, 0]], 2, [[1, 0], [1, 0]]),
        ([[1, 1, 0], [0, 0, 1]], 3, [[1, 0], [1, 0], [0, 1]]),
        ([[1, 1, 0], [0, 0, 1]], None, [[1, 1, 0], [0, 0, 1]]),
        ([[3], [4]], None, [3, 4]),
    ],
)
def test_what_an_array_says(array: Any, videos: int | None, truth: Any) -> None:
    assert as_labels(np.asarray(array), videos, "labels").values.tolist() == truth


@pytest.mark.parametrize(
    ("array", "videos", "message"),
    [
        ([0, 1], 3, r"labels have shape \(2,\) for 3 videos; give one row for every video"),
        ([[0, 1]], 3, r"shape \(1, 2\) for 3 videos"),
        (np.eye(4), 5, r"shape \(4, 4\) for 5 videos"),
        (np.zeros((2, 2, 2)), 2, r"shape \(2, 2, 2\); give a table \(videos, classes\)"),
        (np.zeros(0), 0, r"shape \(0,\)"),
        ([0, 1, -1], 3, "class number -1 at row 2; number classes from 0, .* a row of zeros"),
        ([0, 1, 1.5], 3, "1.5 at row 2; class numbers are whole"),
        ([0, np.nan, 1], 3, "nan at row 1"),
        ([[0, 1], [np.nan, 1]], 2, "nan at row 1, column 0"),
        ([[0, 1], [2, 1]], 2, "2 at row 1, column 0; a table holds 1"),
        ([[0, 1], [-1, 1]], 2, "-1 at row 1, column 0; a table"),
        ([["a", "b"], ["b", "a"]], 2, "a at row 0, column 0"),
        (np.array([1j, 0]), 2, "type complex128"),
        (np.array(["a", None]), 2, "type object; give numbers, .* numpy.unique"),
        (np.array([2**63, 1], np.uint64), 2, "class number 9223372036854775808"),
    ],
)
def test_what_an_array_does_not_say(array: Any, videos: int, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        as_labels(np.asarray(array), videos, "labels")
    assert "\n" not in str(caught.value)


def test_class_numbers_and_names() -> None:
    """Columns are called by their names: numbers count from 0, or from 1 where the last number says so."""
    zero, one = np.array([0, 2]), np.array([1, 3])
    for numbers in (zero, one):
        (table,), names = as_tables([numbers], ["a", "b", "c"])
        assert names == ["a", "b", "c"]
        np.testing.assert_array_equal(table, [[1, 0, 0], [0, 0, 1]])
    (table,), names = as_tables([np.array(["b", "a"])], ["b", "a"])
    np.testing.assert_array_equal(table, [[1, 0], [0, 1]])
    for labels in (np.array([0, 3]), np.array([4]), np.array(["d"])):
        with pytest.raises(InputError, match=r"3 class_names, but a video of class"):
            as_tables([labels], ["a", "b", "c"])
    with pytest.raises(InputError, match="3 class_names for 2 columns"):
        as_tables([np.zeros((4, 2), np.uint8)], ["a", "b", "c"])


def test_one_column_for_a_class_in_every_split() -> None:
    (first, second), names = as_tables([np.array([5, 3]), np.array([3, 9, 5])], None)
    assert names == ["3", "5", "9"]
    np.testing.assert_array_equal(first, [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(second, [[1, 0, 0], [0, 0, 1], [0, 1, 0]])


def test_numbers_of_videos_are_no_classes() -> None:
    with pytest.raises(InputError, match="30,000 different class numbers; number classes, not videos"):
        as_tables([np.arange(30_000)], None)


def test_labels_that_are_not_alike() -> None:
    table, numbers = Labels(np.eye(3, dtype=np.uint8), turned=False), Labels(np.arange(3), turned=False)
    with pytest.raises(InputError, match="a are a table of classes, but b are class numbers; give both the same way"):
        require_alike({"a": table, "b": numbers})
    with pytest.raises(InputError, match="a have 3 classes, but b have 2"):
        require_alike({"a": table, "b": Labels(table.values[:, :2], turned=False)})
    wide = Labels(np.zeros((5, 3), np.uint8), turned=True)
    with pytest.raises(InputError, match=r"b are \(classes, videos\), and a of shape \(3, 3\) could be either"):
        require_alike({"a": table, "b": wide})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty test videos of three classes, in no order, searched among themselves; without their labels."""
    random = np.random.default_rng(0)
    np.save(tmp_path / "train_feats.npy", random.normal(size=(40, 4, 16)).astype(np.float32))
    np.save(tmp_path / "test_feats.npy", random.normal(size=(30, 4, 16)).astype(np.float32))
    return tmp_path


CLASSES = np.random.default_rng(1).integers(0, 3, 30)


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize(
    "stored", [CLASSES + 1, CLASSES[:, None] + 1, CLASSES[None] + 1, np.eye(3)[CLASSES], np.eye(3)[CLASSES].T]
)
def test_the_same_dataset_from_every_form(folder: Path, form: str, stored: NDArray[Any]) -> None:
    name, write = FILES[form]
    write(folder / f"test_{name}", stored)
    data = bench.load_dataset(folder)
    np.testing.assert_array_equal(data.query.labels, np.eye(3)[CLASSES])
    assert data.summary.classes == 3


def test_class_numbers_of_queries_and_gallery(folder: Path) -> None:
    """A class that only the gallery has gets a column in both."""
    np.save(folder / "test_labels.npy", CLASSES[:30])
    np.save(folder / "train_labels.npy", np.arange(40) % 5)
    data = bench.load_dataset(folder)
    assert data.gallery is data.train
    assert data.class_names == ("0", "1", "2", "3", "4")
    np.testing.assert_array_equal(data.query.labels, np.eye(5)[CLASSES])
    np.testing.assert_array_equal(data.gallery.labels, np.eye(5)[np.arange(40) % 5])
    np.save(folder / "train_labels.npy", np.eye(5)[np.arange(40) % 5])
    with pytest.raises(InputError, match=r"test_labels\.npy are class numbers, but .*train_labels\.npy are a table"):
        bench.load_dataset(folder)


def test_names_of_classes_in_a_note(folder: Path) -> None:
    np.save(folder / "test_labels.npy", CLASSES + 1)
    (folder / "dataset.toml").write_text('class_names = ["run", "walk", "swim"]\n')
    assert bench.load_dataset(folder).class_names == ("run", "walk", "swim")
    (folder / "dataset.toml").write_text('class_names = ["run", "walk"]\n')
    with pytest.raises(InputError, match=r"dataset\.toml: 2 class_names, but a video of class 3; name every class"):
        bench.load_dataset(folder)


def test_a_turned_table_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(folder / "test_labels.npy", np.eye(3)[CLASSES].T)
    FolderSource(folder).load()
    assert capsys.readouterr().err == (
        f"{folder}/test_labels.npy: read as (classes, videos), since there are 30 videos\n"
    )


def test_parts_of_labels_are_turned_each(folder: Path) -> None:
    table, feats = np.eye(3)[CLASSES], np.load(folder / "test_feats.npy")
    for number, part in enumerate((slice(0, 10), slice(10, 30))):
        np.save(folder / f"feats{number}.npy", feats[part])
        np.save(folder / f"labels{number}.npy", table[part].T if number else table[part])
    (folder / "dataset.toml").write_text(
        '[files.test]\nfeatures = ["feats0.npy", "feats1.npy"]\nlabels = ["labels0.npy", "labels1.npy"]\n'
    )
    np.testing.assert_array_equal(bench.load_dataset(folder).query.labels, table)


@pytest.mark.parametrize(
    "given",
    [
        CLASSES, CLASSES + 1, CLASSES[:, None], CLASSES[None], CLASSES.astype(float), CLASSES.astype(np.uint64),
        np.array(["run", "walk", "swim"])[CLASSES], np.eye(3)[CLASSES], np.eye(3)[CLASSES].T,
        2 * np.eye(3)[CLASSES] - 1, np.eye(3, dtype=bool)[CLASSES], csc_matrix(np.eye(3)[CLASSES]), CLASSES.tolist(),
    ],
    ids=str,
)  # fmt: skip
def test_evaluate_takes_the_same_forms(given: Any) -> None:
    codes = np.random.default_rng(2).integers(0, 2, (30, 8))
    distance = (codes[:, None] != codes[None]).sum(axis=-1)
    precision = []
    for query, row in enumerate(distance):
        relevant = CLASSES[np.argsort(row, kind="stable")][:5] == CLASSES[query]
        precision.append((np.cumsum(relevant) / np.arange(1, 6) * relevant).sum() / 5)
    scores = bench.evaluate(codes, given, ks=(5,), ties="index")
    assert scores.map[5] == pytest.approx(np.mean(precision), abs=1e-12)
