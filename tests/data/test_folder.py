"""Feature folders: the layout of contracts, dataset.toml, and every defect in one line that names the file."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy.io import loadmat, savemat
from scipy.sparse import csc_matrix

import bench
from bench.base.errors import InputError
from bench.data.dataset import Dataset
from bench.data.folder import FolderSource
from bench.data.label_files import read_labels


def load(folder: Path) -> Dataset:
    return FolderSource(folder).load()


def test_test_queries_training_gallery(feature_folder: Path) -> None:
    data = bench.load_dataset(feature_folder)
    assert data.summary.name == "my-features"
    assert (len(data.train.features), len(data.query.features), len(data.gallery.features)) == (40, 12, 40)
    assert data.gallery is data.train
    assert data.query.labels is not None
    assert data.query.labels.dtype == np.uint8
    assert data.class_names == ("0", "1", "2")


def test_without_training_labels_the_test_set_is_searched_against_itself(feature_folder: Path) -> None:
    (feature_folder / "train_labels.mat").unlink()
    data = load(feature_folder)
    assert data.gallery is data.query
    assert data.summary.self_search
    assert data.train.labels is None


def test_the_usual_names_with_other_suffixes(feature_folder: Path, tmp_path: Path) -> None:
    expected = load(feature_folder)
    assert expected.query.labels is not None
    other = tmp_path / "other"
    other.mkdir()
    np.save(other / "train_feats.npy", expected.train.features[:])
    save_file({"feats": expected.query.features[:]}, other / "test_feats.safetensors")
    np.save(other / "test_labels.npy", expected.query.labels)
    shutil.copy(feature_folder / "train_labels.mat", other)
    found = load(other)
    assert found.gallery is found.train
    for split in ("train", "query"):
        ours, theirs = getattr(found, split), getattr(expected, split)
        np.testing.assert_array_equal(ours.features[:], theirs.features[:])
        np.testing.assert_array_equal(ours.labels, theirs.labels)
    np.save(other / "query_feats.npy", expected.query.features[:3])
    np.save(other / "query_labels.npy", expected.query.labels[:3])
    assert len(load(other).query.features) == 3


@pytest.mark.parametrize("name", ["train_feats.npy", "test_feats.npy", "query_feats.npy", "train_labels.npy"])
def test_two_files_that_mean_the_same(feature_folder: Path, name: str) -> None:
    data = load(feature_folder)
    features(feature_folder, data.query.features[:], "query")
    savemat(feature_folder / "query_labels.mat", {"labels": data.query.labels})
    np.save(feature_folder / name, np.zeros((40, 25, 32), np.float32))
    stem = name.removesuffix(".npy")
    with pytest.raises(InputError, match=rf"my-features: holds {stem}\.(h5|mat) and {stem}\.npy; leave one, or name"):
        load(feature_folder)
    split, kind = stem.split("_")
    key, suffix = ("features", "h5") if kind == "feats" else ("labels", "mat")
    (feature_folder / "dataset.toml").write_text(f'[files.{split}]\n{key} = "{stem}.{suffix}"\n')
    assert len(load(feature_folder).query.features) == len(data.query.features)


def test_query_files_play_the_queries_against_the_test_set(feature_folder: Path) -> None:
    features(feature_folder, np.zeros((5, 25, 32), np.float32), "query")
    savemat(feature_folder / "query_labels.mat", {"labels": np.eye(5, 3)})
    data = load(feature_folder)
    assert (len(data.query.features), len(data.gallery.features)) == (5, 12)


def test_description_names_files_keys_parts_and_roles(tmp_path: Path) -> None:
    for number in (1, 2):
        with h5py.File(tmp_path / f"part{number}.h5", "w") as file:
            file["x"] = np.full((3, 2, 4), number, dtype=np.float32)
        savemat(tmp_path / f"part{number}.mat", {"y": np.eye(3)})
    (tmp_path / "dataset.toml").write_text(
        'name = "Two Parts"\nquery = "train"\ngallery = "train"\nclass_names = ["a", "b", "c"]\n'
        '[files.train]\nfeatures = ["part1.h5", "part2.h5"]\nlabels = ["part1.mat", "part2.mat"]\n'
        'features_key = "x"\nlabels_key = "y"\n[recommended.mcmsh]\nanchors = 2\n'
    )
    data = load(tmp_path)
    assert data.summary.name == "two-parts"
    np.testing.assert_array_equal(data.train.features[:][:, 0, 0], [1, 1, 1, 2, 2, 2])
    assert data.gallery is data.query
    assert data.class_names == ("a", "b", "c")
    assert data.recommended == {"mcmsh": {"anchors": 2}}


def test_sparse_and_hdf5_labels(feature_folder: Path) -> None:
    expected = load(feature_folder).query.labels
    assert expected is not None
    savemat(feature_folder / "test_labels.mat", {"labels": csc_matrix(expected.astype(float))})
    np.testing.assert_array_equal(load(feature_folder).query.labels, expected)
    (feature_folder / "test_labels.mat").unlink()
    with h5py.File(feature_folder / "test_labels.mat", "w") as file:
        # MATLAB 7.3 stores column by column, and says that it wrote the file.
        file["labels"] = expected.T.astype(float)
        file["labels"].attrs["MATLAB_class"] = np.bytes_("double")
    np.testing.assert_array_equal(load(feature_folder).query.labels, expected)


def test_the_fingerprint_is_the_contents(feature_folder: Path, tmp_path: Path) -> None:
    before = FolderSource(feature_folder).summary().fingerprint
    moved = feature_folder.rename(tmp_path / "elsewhere")
    assert FolderSource(moved).summary().fingerprint == before
    with h5py.File(moved / "test_feats.h5", "r+") as file:
        file["feats"][3, 2, 1] += 1
    assert FolderSource(moved).summary().fingerprint != before


@pytest.mark.parametrize("matlab", [False, True])
def test_square_labels_are_turned_only_if_matlab_wrote_them(matlab: bool, tmp_path: Path) -> None:
    """As many videos as classes: the shape does not tell which axis is which."""
    labels = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float64)
    with h5py.File(tmp_path / "labels.mat", "w") as file:
        file["labels"] = labels.T if matlab else labels
        if matlab:
            file["labels"].attrs["MATLAB_class"] = np.bytes_("double")
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.mat"), labels)


@pytest.mark.parametrize("split", ["train", "test"])
def test_other_labels_are_another_dataset(feature_folder: Path, split: str) -> None:
    before = FolderSource(feature_folder).summary().fingerprint
    path = feature_folder / f"{split}_labels.mat"
    labels = loadmat(path)["labels"]
    labels[[0, 1]] = labels[[1, 0]]
    savemat(path, {"labels": labels})
    assert FolderSource(feature_folder).summary().fingerprint != before


def features(folder: Path, array: object, split: str = "test") -> None:
    with h5py.File(folder / f"{split}_feats.h5", "w") as file:
        file["feats"] = array


def break_missing(folder: Path) -> None:
    (folder / "train_feats.h5").unlink()


def break_empty_file(folder: Path) -> None:
    (folder / "test_feats.h5").write_bytes(b"")


def break_truncated(folder: Path) -> None:
    path = folder / "train_feats.h5"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def break_not_hdf5(folder: Path) -> None:
    (folder / "train_feats.h5").write_bytes(b"some text, no features " * 100)


def break_key(folder: Path) -> None:
    (folder / "test_feats.h5").unlink()
    with h5py.File(folder / "test_feats.h5", "w") as file:
        file["features"] = np.zeros((3, 25, 32), np.float32)


def break_nan(folder: Path) -> None:
    with h5py.File(folder / "train_feats.h5", "r+") as file:
        file["feats"][7, 3, 2] = np.nan


def break_infinite(folder: Path) -> None:
    with h5py.File(folder / "test_feats.h5", "r+") as file:
        file["feats"][4, 0, 0] = np.inf


def write(folder: Path, name: str, content: str | bytes) -> None:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def labels(folder: Path, array: object, key: str = "labels") -> None:
    savemat(folder / "test_labels.mat", {key: array})


def break_short_labels(folder: Path) -> None:
    path = folder / "test_labels.mat"
    path.write_bytes(path.read_bytes()[:100])


def break_group(folder: Path) -> None:
    (folder / "test_feats.h5").unlink()
    with h5py.File(folder / "test_feats.h5", "w") as file:
        file.create_group("feats")


def break_chunk(folder: Path) -> None:
    (folder / "test_feats.h5").unlink()
    with h5py.File(folder / "test_feats.h5", "w") as file:
        noise = np.random.default_rng(0).normal(size=(12, 25, 32)).astype(np.float32)
        file.create_dataset("feats", data=noise, chunks=(12, 25, 32), compression="gzip", fletcher32=True)
        place = file["feats"].id.get_chunk_info(0)
    content = bytearray((folder / "test_feats.h5").read_bytes())
    middle = place.byte_offset + place.size // 2
    content[middle : middle + 64] = bytes(64)
    (folder / "test_feats.h5").write_bytes(bytes(content))


DEFECTS: list[tuple[Callable[[Path], None], str]] = [
    (break_missing, r"train_feats\.h5: no such file"),
    (break_empty_file, r"test_feats\.h5: the file is empty"),
    (break_truncated, r"train_feats\.h5: truncated"),
    (break_not_hdf5, r"train_feats\.h5: not an HDF5 file"),
    (break_key, r"test_feats\.h5: no dataset 'feats'; it holds features; rename one, or name .* \(features_key\)"),
    (break_nan, r"train_feats\.h5: video 7 has NaN or infinite features"),
    (break_infinite, r"test_feats\.h5: video 4 has NaN or infinite features"),
    (lambda folder: features(folder, np.zeros((12, 32), np.float32)), r"\(frames, dimensions\) = \(1, 32\), but"),
    (lambda folder: features(folder, np.zeros((12, 5, 5, 32), np.float32)), r"'feats' has shape \(12, 5, 5, 32\)"),
    (lambda folder: features(folder, np.zeros((12, 25, 32), complex)), r"'feats' holds complex128; expected floats"),
    (lambda folder: features(folder, np.zeros((0, 25, 32), np.float32)), r"test_feats\.h5: 'feats' is empty"),
    (lambda folder: features(folder, np.zeros((12, 25, 31), np.float32)), r"\(25, 31\), but .*train_feats\.h5 has"),
    (
        lambda folder: features(folder, np.zeros((13, 25, 32), np.float32)),
        r"have shape \(12, 3\) for 13 videos; give one row",
    ),
    (lambda folder: labels(folder, np.zeros((11, 3))), r"have shape \(11, 3\) for 12 videos; give one row"),
    (lambda folder: labels(folder, np.eye(12)), r"12 classes, but .*train_labels"),
    (lambda folder: labels(folder, np.full((12, 3), 2)), r"hold 2 at row 0, column 0; a table holds 1"),
    (lambda folder: labels(folder, np.eye(12), key="label"), r"test_labels\.mat: no array 'labels'"),
    (lambda folder: write(folder, "test_labels.mat", b"x" * 500), r"not a readable MATLAB file"),
    (lambda folder: (folder / "test_labels.mat").unlink(), r"test_labels\.mat: no such file"),
    (lambda folder: write(folder, "dataset.toml", "query = "), r"dataset\.toml: not valid TOML"),
    (lambda folder: write(folder, "dataset.toml", 'query = "tset"'), r"dataset\.toml: query: "),
    (lambda folder: write(folder, "dataset.toml", '[files.test]\nfeatures = "../x.h5"'), r"lies outside the folder"),
    (lambda folder: write(folder, "dataset.toml", '[files.query]\nfeatures = "typo.h5"'), r"typo\.h5: no such file"),
    (lambda folder: write(folder, "dataset.toml", '[files.train]\nlabels = "typo.mat"'), r"typo\.mat: no such file"),
    (lambda folder: write(folder, "dataset.toml", "[files.train]\nfeatures = []"), r"files\.train\.features"),
    (
        lambda folder: write(folder, "test_labels.mat", (folder / "test_labels.mat").read_bytes()[:100]),
        r"not a readable",
    ),
    (break_group, r"test_feats\.h5: 'feats' is an empty group"),
    (break_chunk, r"test_feats\.h5: 'feats' cannot be read"),
    (lambda folder: write(folder, "dataset.toml", 'class_names = ["a"]'), r"1 class_names for 3 columns"),
]


@pytest.mark.parametrize(("damage", "message"), DEFECTS)
def test_every_defect_is_named(feature_folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(feature_folder)
    with pytest.raises(InputError, match=message) as caught:
        load(feature_folder)
    assert "\n" not in str(caught.value)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        FolderSource(tmp_path / "nowhere")
