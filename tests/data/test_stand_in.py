"""Stand-ins: the layout of the real files, classes to be found, equal calls equal files, nothing overwritten."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import loadmat

import bench
from bench.base.errors import InputError
from bench.base.progress import SilentProgress
from bench.cli import main
from bench.data.feature_files import FeatureFiles
from bench.data.stand_in import Synthetic, plan_stand_in
from bench.registry import load_registry


def dataset(name: str) -> type[FeatureFiles]:
    found = load_registry().datasets[name]
    assert issubclass(found, FeatureFiles)
    return found


def make(name: str, folder: Path, scale: float = 0.001, seed: int = 0, dimensions: int = 16) -> Path:
    plan_stand_in(dataset(name), folder, scale, seed, dimensions=dimensions).write(SilentProgress())
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_names_keys_shapes_and_parts_of_yfcc(tmp_path: Path) -> None:
    make("yfcc", tmp_path)
    expected = {f"yfcc_train_feats_{part}.h5" for part in range(1, 10)}
    expected |= {f"yfcc_test_{what}" for what in ("feats_1.h5", "feats_2.h5", "labels_1.mat", "labels_2.mat")}
    expected |= {"query1000_feats.h5", "query1000_labels.mat", "dataset.toml"}
    assert {path.name for path in tmp_path.iterdir()} == expected
    # 409,788 / 1000 videos over nine parts, 101,256 / 1000 over two; the queries at least four.
    counts = {}
    for path in tmp_path.glob("*.h5"):
        with h5py.File(path) as file:
            assert list(file) == ["feats"]
            assert file["feats"].dtype == np.dtype("<f4")
            assert file["feats"].chunks is None
            assert file["feats"].shape[1:] == (25, 16)
            assert file.attrs["stand_in"]
            counts[path.name] = len(file["feats"])
    assert sum(counts[name] for name in counts if "train" in name) == 410
    assert (counts["yfcc_test_feats_1.h5"], counts["yfcc_test_feats_2.h5"]) == (51, 50)
    assert counts["query1000_feats.h5"] == 4
    for part in (1, 2):
        labels = loadmat(tmp_path / f"yfcc_test_labels_{part}.mat")["labels"]
        assert labels.shape == (counts[f"yfcc_test_feats_{part}.h5"], 80)
        assert set(np.unique(labels)) == {0, 1}


def test_equal_calls_make_equal_files(tmp_path: Path) -> None:
    first = contents(make("activitynet", tmp_path / "first"))
    assert contents(make("activitynet", tmp_path / "second")) == first
    other = contents(make("activitynet", tmp_path / "third", seed=1))
    assert other.keys() == first.keys()
    assert all(other[name] != first[name] for name in first)


def test_no_video_is_in_two_files(tmp_path: Path) -> None:
    make("yfcc", tmp_path)
    videos = [h5py.File(path)["feats"][:].reshape(-1, 25 * 16) for path in tmp_path.glob("*.h5")]
    together = np.concatenate(videos)
    assert len(np.unique(together, axis=0)) == len(together)


def test_features_are_rectified_smooth_and_have_classes() -> None:
    made = Synthetic("test", 25, 512, 100)
    labels = made.labels("all", 500, several=False)
    videos = made.features("all", labels)
    assert videos.shape == (500, 25, 512)
    assert videos.min() == 0
    assert 0.5 < (videos == 0).mean() < 0.8
    # Frames change little by little, and far more from first to last.
    following = np.abs(np.diff(videos, axis=1)).mean()
    assert 3 * following < np.abs(videos[:, -1] - videos[:, 0]).mean()
    # The video nearest to a video is of its class more often than by chance (4 in 499), and not always.
    pooled = videos.mean(axis=1)
    pooled -= pooled.mean(axis=0)
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    similarity = pooled @ pooled.T
    np.fill_diagonal(similarity, -2)
    classes = labels.argmax(axis=1)
    found = (classes[similarity.argmax(axis=1)] == classes).mean()
    assert 0.3 < found < 0.95


@pytest.mark.parametrize("several", [False, True])
def test_labels(several: bool) -> None:
    labels = Synthetic("test", 5, 4, 7).labels("some", 700, several=several)
    assert labels.shape == (700, 7)
    assert labels.sum(axis=1).min() == 1
    if several:
        # A tenth gets one more of seven classes, sometimes the one that it has.
        assert 700 + 30 < labels.sum() < 700 + 110
    else:
        np.testing.assert_array_equal(labels.sum(axis=0), np.full(7, 100))


def test_blocks_and_short_videos() -> None:
    for frames in (1, 2, 7):
        made = Synthetic("test", frames, 8, 3)
        videos = made.features("some", made.labels("some", 5, several=False))
        assert videos.shape == (5, frames, 8)
        assert np.isfinite(videos).all()


def test_a_link_that_leads_nowhere_is_kept(tmp_path: Path) -> None:
    (tmp_path / "hmdb_test_feats.h5").symlink_to("elsewhere.h5")
    with pytest.raises(InputError, match=r"hmdb_test_feats\.h5 is there already"):
        plan_stand_in(dataset("hmdb51"), tmp_path, 0.01, 0)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "hmdb_test_labels.mat").write_text("mine")
    with pytest.raises(InputError, match=r"hmdb_test_labels\.mat is there already"):
        plan_stand_in(dataset("hmdb51"), tmp_path, 0.01, 0)
    assert contents(tmp_path) == {"hmdb_test_labels.mat": b"mine"}


def test_an_interrupted_file_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Synthetic, "features", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make("hmdb51", tmp_path)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fcvd"], "no stand-in for 'fcvd' can be made: did you mean fcvid"),
        (["moving-digits"], "no stand-in for 'moving-digits' can be made: known: activitynet, fcvid"),
        (["fcvid", "--scale", "0"], "--scale 0.0: expected a number above 0"),
        (["fcvid", "--scale", "nan"], "--scale nan: expected a number above 0"),
        (["fcvid", "--seed", "-1"], "--seed -1: expected 0 or more"),
        (["yfcc", "--scale", "1e7"], "a stand-in of YFCC100M subset at this scale takes"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["data", "fake", *arguments, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="is a file; name a folder"):
        make("hmdb51", tmp_path / "file")
    with pytest.raises(InputError, match="cannot be written"):
        make("hmdb51", tmp_path / "file" / "inside")


def test_from_the_command_line_to_the_library(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "fake", "activitynet", "--scale", "0.001", "--out", "data/activitynet"]) == 0
    output = capsys.readouterr()
    assert output.out == ""
    # 10 training videos, 4 and 4 of test and query, 30 x 2048 float32 each.
    assert "data/activitynet: 4.4 MB to write, " in output.err
    data = bench.load_dataset("activitynet", root="data")
    assert data.train.features.shape == (10, 30, 2048)
    assert data.summary.stand_in
