"""How people name files and folders: `~`, editors' encodings, other scripts, links of hubs, two folders of one name."""

import codecs
import shutil
from pathlib import Path

import numpy as np
import pytest

import bench
from bench.base.errors import InputError
from bench.base.paths import cache_folder, named_path
from bench.base.text import slug
from bench.cli import main
from bench.data.folder import FolderSource
from bench.running.plan import read_sweep_file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_the_home_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert named_path("~/a") == home / "a"
    assert named_path("b/~/a") == Path("b/~/a")
    assert named_path("~no-such-user-here/a") == Path("~no-such-user-here/a")
    monkeypatch.setenv("VHBENCH_CACHE", "~/kept")
    assert cache_folder() == home / "kept"


def test_the_home_folder_from_python(home: Path, feature_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(feature_folder, home / "clips")
    data = bench.load_dataset("~/clips")
    encoder = bench.fit("lsh", data, bits=4)
    encoder.save("~/encoder")
    expected = encoder.encode(data.query.features)
    np.testing.assert_array_equal(bench.load_encoder("~/encoder").encode(data.query.features), expected)
    assert (home / "encoder/encoder.json").is_file()
    encoder.export("~/encoder.onnx")
    assert (home / "encoder.onnx").is_file()
    with pytest.raises(InputError, match=f"{home}/authors.pth: no such file"):
        bench.load_checkpoint("mcmsh", "~/authors.pth", bits=16, alpha=1.0)
    for place in ("root", "VHBENCH_DATA"):
        with pytest.raises(InputError, match=f"files are missing from {home}:"):
            monkeypatch.setenv("VHBENCH_DATA", "~")
            bench.load_dataset("fcvid", root="~" if place == "root" else None)


def test_the_home_folder_on_the_command_line(
    home: Path, feature_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(feature_folder, home / "clips")
    (home / "plugin.py").write_text("")
    (home / "sweep.toml").write_text('methods = ["lsh"]\nbits = [4]\ndatasets = ["~/clips"]\n')
    bench.fit("lsh", bench.load_dataset(feature_folder), bits=4).save(home / "encoder")
    monkeypatch.chdir(home)
    assert main(["run", "~/sweep.toml", "--dry-run", "--datasets=~/clips"]) == 0
    assert "1 of 1 runs to do" in capsys.readouterr().out
    assert main(["encode", "--encoder=~/encoder", "--features=~/clips/test_feats.h5", "--out=~/codes.npy"]) == 0
    assert np.load(home / "codes.npy").shape == (12, 4)
    assert main(["data", "convert", "~/clips", "--to", "float16", "--out=~/converted"]) == 0
    assert (home / "converted/dataset.toml").is_file()
    assert main(["data", "fake", "hmdb51", "--scale=1e-9", "--out=~/fake"]) == 0
    assert (home / "fake/dataset.toml").is_file()
    capsys.readouterr()
    for call, named in (
        (["list", "--plugin=~/plugin.py"], "plugin.py: defines no method"),
        (["data", "check", "fcvid", "--data-root=~"], "fcvid: 3 of 3 files"),
        (["run", "--methods", "lsh", "--datasets", "~/clips", "--report=~/plugin.py"], "plugin.py: is a file"),
        (["report", "--results=~/none"], "none: no such folder"),
        (["results", "prune", "--results=~/none"], "none: no such folder"),
        (["compare", "~/none", "~/none"], "none: no such folder"),
        (["results", "merge", "~/none"], "none: "),
    ):
        assert main(call) == 2
        error = capsys.readouterr().err
        assert named in error
        assert str(home) in error
    assert not (home / "~").exists()


ENCODINGS = {
    "UTF-8": b"",
    "UTF-8 with its mark": codecs.BOM_UTF8,
    "UTF-16-LE": codecs.BOM_UTF16_LE,
    "UTF-16-BE": codecs.BOM_UTF16_BE,
    "UTF-32-LE": codecs.BOM_UTF32_LE,
    "UTF-32-BE": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_notes_and_sweeps_as_editors_store_them(feature_folder: Path, encoding: str) -> None:
    mark, name = ENCODINGS[encoding], encoding.removesuffix(" with its mark")
    note, sweep = feature_folder / "dataset.toml", feature_folder / "sweep.toml"
    note.write_bytes(mark + 'title = "Größe 类别"\r\n'.encode(name))
    assert FolderSource(feature_folder).title == "Größe 类别"
    sweep.write_bytes(mark + 'methods = ["lsh"]\r\nbits = [4]\r\n'.encode(name))
    assert read_sweep_file(sweep).bits == [4]


def test_another_encoding_is_named(feature_folder: Path) -> None:
    (feature_folder / "dataset.toml").write_bytes('name = "a"\ntitle = "Größe"\n'.encode("cp1252"))
    with pytest.raises(InputError, match=r"dataset\.toml: is not UTF-8 text \(line 2\); save it as UTF-8$"):
        FolderSource(feature_folder)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("My_Features (v2.1)", "my-features-v2.1"),
        ("视频", "视频"),
        ("動画 2024", "動画-2024"),
        ("Größe", "größe"),
        ("gro\u0308\u00dfe", "größe"),
        ("हिन्दी/ก่อน", "हिन्दी-ก่อน"),
        ("../x", "x"),
        ("a\x1b[2J\u202eb", "a-2j-b"),
        ("---", "unnamed"),
    ],
)
def test_names_of_files_made_of_names(name: str, expected: str) -> None:
    assert slug(name) == expected
    assert slug(expected) == expected


@pytest.mark.parametrize(
    ("name", "title"), [("视频", "视频"), ("My_Clips", "My_Clips"), ("🎬", "🎬"), ("a\x1b[2Jb", "a [2Jb")]
)
def test_a_folder_is_called_by_its_name(feature_folder: Path, name: str, title: str) -> None:
    source = FolderSource(feature_folder.rename(feature_folder.with_name(name)))
    assert source.summary().title == title
    assert source.name == slug(name)


def test_a_described_name_goes_before_the_folder_s(feature_folder: Path) -> None:
    (feature_folder / "dataset.toml").write_text('name = "My Clips"\n')
    assert (FolderSource(feature_folder).title, FolderSource(feature_folder).name) == ("My Clips", "my-clips")


def snapshot(folder: Path) -> Path:
    """The folder's files as a hub's client lays them out."""
    blobs, links = folder.with_name("hub") / "blobs", folder.with_name("hub") / "snapshots/1"
    blobs.mkdir(parents=True)
    links.mkdir(parents=True)
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(blobs / str(number))
        (links / path.name).symlink_to(f"../../blobs/{number}")
    return links


@pytest.mark.parametrize("described", [False, True])
def test_a_snapshot_of_links(feature_folder: Path, described: bool) -> None:
    expected = bench.load_dataset(feature_folder)
    if described:
        (feature_folder / "train_feats.h5").rename(feature_folder / "learned.h5")
        (feature_folder / "dataset.toml").write_text('[files.train]\nfeatures = "learned.h5"\n')
    data = bench.load_dataset(snapshot(feature_folder))
    np.testing.assert_array_equal(data.train.features[:], expected.train.features[:])
    assert data.summary.train_videos == 40
    assert data.gallery is data.train


def test_usual_names_may_be_links_and_others_may_not(feature_folder: Path, tmp_path: Path) -> None:
    for name in ("train_feats.h5", "test_labels.mat"):
        (feature_folder / name).rename(tmp_path / name)
        (feature_folder / name).symlink_to(tmp_path / name)
    assert bench.load_dataset(feature_folder).summary.train_videos == 40
    (feature_folder / "mine.h5").symlink_to(tmp_path / "train_feats.h5")
    (feature_folder / "dataset.toml").write_text('[files.train]\nfeatures = "mine.h5"\n')
    with pytest.raises(
        InputError, match=r"mine\.h5 lies outside the folder; move it inside, or give it its usual name"
    ):
        bench.load_dataset(feature_folder)


def test_a_link_that_leads_nowhere_is_not_left_out(feature_folder: Path) -> None:
    """Without training labels the test videos would be searched instead."""
    (feature_folder / "train_labels.mat").unlink()
    (feature_folder / "train_labels.mat").symlink_to("gone.mat")
    with pytest.raises(InputError, match=r"train_labels\.mat: is a link to gone\.mat, which is not there"):
        bench.load_dataset(feature_folder)
