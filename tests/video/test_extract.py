"""From video files to a feature folder: contents, failures, interruptions."""

import filecmp
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import bench
from bench.base.errors import InputError
from bench.base.fork_context import fork_server_context
from bench.base.progress import SilentProgress
from bench.cli import main
from bench.video import extract as module
from bench.video.decoding import decoded
from bench.video.extract import VideoFailedError, extract
from bench.video.extractor import Extractor, same_extractor
from bench.video.feature_folder import Extracted
from bench.video.manifest import Row, read_manifest, read_settings
from bench.video.sources import find_videos

from .brightness import QUARTERS, InterruptedAfter, brightness_of, extract_until_killed, extractor
from .clips import numbered, write_clip, write_numbered


def make(root: Path) -> Path:
    """Two classes of four clips each, of which every frame shows the same number; one file is no video."""
    for label, first in (("low", 1), ("high", 32)):
        (root / label).mkdir(parents=True)
        for number in range(first, first + 4):
            write_clip(root / label / f"clip {number} é.mp4", [numbered(number)] * 4, crf="1", pixels="yuv444p")
    (root / "low/broken.mp4").write_text("no video")
    (root / "notes.txt").write_text("notes")
    return root


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("videos") / "set")


def run(root: Path, out: Path, **settings: Any) -> list[Row]:
    return extract(find_videos(root), extractor(), out, 2, SilentProgress(), **settings)


@pytest.fixture(scope="module")
def extracted(videos: Path) -> Path:
    run(videos, videos.parent / "features")
    return videos.parent / "features"


def test_features_labels_and_rows_belong_together(extracted: Path, videos: Path) -> None:
    rows = list(read_manifest(extracted))
    assert [row.path for row in rows if row.state == "left out"] == ["notes.txt"]
    (broken,) = [row for row in rows if row.state == "failed"]
    assert (broken.path, broken.row, broken.size) == ("low/broken.mp4", None, 8)
    assert broken.sha256
    assert "is no video file" in str(broken.reason)
    done = [row for row in rows if row.state == "done"]
    assert len(done) == 8
    for split in ("train", "test"):
        with h5py.File(extracted / f"{split}_feats.h5") as file:
            features = file["feats"][:]
        members = [row for row in done if row.split == split]
        assert [row.row for row in members] == list(range(len(features)))
        for row in members:
            number = int(row.path.split()[1])
            np.testing.assert_allclose(features[row.row], np.tile(brightness_of(number), (3, 1)), atol=0.02)
            assert row.labels == (row.path.split("/")[0],)
            assert (row.duration, row.declared, row.damaged) == (round(4 / 15, 6), round(4 / 15, 6), 0)
            np.testing.assert_allclose(row.times, [0, 2 / 15, 3 / 15], atol=1e-5)
    data = bench.load_dataset(extracted)
    assert data.train.features.shape == (6, 3, QUARTERS)
    assert data.class_names == ("high", "low")
    assert data.gallery is data.train
    labels = [row.labels for row in done if row.split == "train"]
    assert data.train.labels is not None
    np.testing.assert_array_equal(data.train.labels, [[label == ("high",), label == ("low",)] for label in labels])


def test_settings_are_noted_and_read_again(extracted: Path, videos: Path) -> None:
    settings = read_settings(extracted)
    assert settings.root == str(videos)
    assert settings.model_copy(update={"root": None}) == extractor().settings
    (extracted.parent / "other").mkdir()
    (extracted.parent / "other/extract.json").write_text('{"backbone": 3}')
    with pytest.raises(InputError, match="extract it again"):
        read_settings(extracted.parent / "other")
    (extracted.parent / "other/manifest.jsonl").write_text('{"path": "a", "state": "done"}\n{"path": 3}\n')
    with pytest.raises(InputError, match="line 2"):
        list(read_manifest(extracted.parent / "other"))


def same_files(one: Path, other: Path) -> bool:
    names = sorted(path.name for path in one.iterdir())
    return (
        names == sorted(path.name for path in other.iterdir()) and not filecmp.cmpfiles(one, other, names, False)[1:][0]
    )


def test_the_same_videos_give_the_same_bytes(extracted: Path, videos: Path, tmp_path: Path) -> None:
    run(videos, tmp_path / "again")
    assert same_files(extracted, tmp_path / "again")
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The videos that are decoded from here on."""
    begun: list[Path] = []

    def counting(paths: Any, *others: Any) -> Any:
        begun.extend(paths)
        return decoded(paths, *others)

    monkeypatch.setattr(module, "decoded", counting)
    return begun


def test_a_killed_extraction_goes_on_with_the_same_result(
    extracted: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = fork_server_context([], 1)
    process = context.Process(target=extract_until_killed, args=(videos, tmp_path / "out", 5))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    kept = list((tmp_path / "out.unfinished").glob("*.safetensors"))
    assert 4 <= len(kept) <= 5  # the broken file may be among the five
    # A file that was not written to its end, by a system that lost its power.
    kept[0].write_bytes(kept[0].read_bytes()[:100])
    begun = counted(monkeypatch)
    run(videos, tmp_path / "out")
    assert len(begun) == 9 - (len(kept) - 1)
    assert same_files(extracted, tmp_path / "out")
    assert not (tmp_path / "out.unfinished").exists()


def test_what_changed_in_between_is_extracted_again(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "set"
    shutil.copytree(videos, root)
    (root / "low/broken.mp4").unlink()

    def interrupted(name: str, using: Extractor) -> None:
        with pytest.raises(KeyboardInterrupt):
            extract(find_videos(root), using, tmp_path / name, 1, InterruptedAfter(8))

    interrupted("out", extractor())
    changed = write_clip(root / "low/clip 1 é.mp4", [numbered(63)] * 4)
    begun = counted(monkeypatch)
    run(root, tmp_path / "out")
    assert begun == [changed]
    # Other settings: nothing is used again.
    interrupted("third", extractor(weights="second"))
    begun.clear()
    run(root, tmp_path / "third")
    assert len(begun) == 8


def test_an_update_extracts_what_is_new_or_changed(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = tmp_path / "set", tmp_path / "out"
    shutil.copytree(videos, root)
    run(root, out)
    new = write_clip(root / "high/new.mp4", [numbered(40)] * 4)
    changed = write_clip(root / "low/clip 1 é.mp4", [numbered(63)] * 4)
    (root / "low/clip 2 é.mp4").unlink()
    (root / "high/clip 33 é.mp4").touch()
    before = Extracted.read(out)
    known = [video.path for video in find_videos(root).videos if before.knows(video)]
    assert set(root.glob("*/*.mp4")) - set(known) == {new, changed}
    begun = counted(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        extract(find_videos(root), extractor(), out, 1, InterruptedAfter(2), update=True)
    assert Extracted.read(out) == before
    # As if it had been killed while the new folder takes the place of that before.
    out.rename(tmp_path / "out.unfinished/earlier")
    run(root, out)
    # What failed is tried again, and what was not done when it was interrupted.
    assert sorted(begun) == [new, *[root / "low/broken.mp4"] * 2, *[changed] * 2]
    run(root, tmp_path / "fresh")
    assert same_files(out, tmp_path / "fresh")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "out", "set"]
    # With other settings all are extracted.
    begun.clear()
    extract(find_videos(root), extractor(weights="second"), out, 2, SilentProgress(), update=True)
    assert len(begun) == 9


def test_a_strict_extraction_stops_at_the_first_failure(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoFailedError, match=r"low/broken\.mp4: is no video file"):
        run(videos, tmp_path / "out", stop_at_failures=True)
    assert not (tmp_path / "out").exists()


def test_two_calls_do_not_write_one_folder(videos: Path, tmp_path: Path) -> None:
    with (
        module._kept_beside(tmp_path / "out", extractor().settings),
        pytest.raises(InputError, match="is writing it; wait"),
    ):
        run(videos, tmp_path / "out")


def test_one_video_as_a_query(videos: Path, extracted: Path) -> None:
    row = next(row for row in read_manifest(extracted) if row.state == "done" and row.split == "test")
    with h5py.File(extracted / "test_feats.h5") as file:
        stored = file["feats"][row.row]
    np.testing.assert_array_equal(extractor().features_of(videos / row.path), stored)
    with pytest.raises(InputError, match=r"broken.mp4: is no video file"):
        extractor().features_of(videos / "low/broken.mp4")


def test_the_extractor_of_a_folder_is_made_again(extracted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.video.extractor.version", lambda name: "0")
    monkeypatch.setattr("bench.video.extractor.load_backbone", lambda *_: extractor().backbone)
    settings = read_settings(extracted)
    made = same_extractor(settings, torch.device("cpu"))
    assert made.sampling == settings.sampling
    assert made.settings.dimensions == QUARTERS
    monkeypatch.setattr("bench.video.extractor.load_backbone", lambda *_: extractor("second").backbone)
    with pytest.raises(InputError, match="not those that made the features"):
        same_extractor(settings, torch.device("cpu"))


def test_values_that_are_not_finite_are_a_failure(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    write_numbered(tmp_path / "set/a.mp4", 2)
    broken = extractor()
    object.__setattr__(broken.backbone, "forward", lambda pixels: torch.full((len(pixels), QUARTERS), torch.nan))
    (row,) = extract(find_videos(tmp_path / "set"), broken, tmp_path / "out", 1, SilentProgress())
    assert (row.state, row.row) == ("failed", None)
    assert "not finite" in str(row.reason)
    # There is no feature, but what became of the file is said.
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "dataset.toml",
        "extract.json",
        "manifest.jsonl",
    ]


def test_the_command_line_says_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.video.extractor.load_backbone", lambda *_: extractor().backbone)
    monkeypatch.setattr("bench.video.extractor.version", lambda name: "0")
    make(tmp_path / "set")
    assert main(["extract", "set", "--out", "strict", "--frames", "3", "--on-error", "stop"]) == 1
    error = capsys.readouterr().err
    assert "bench: set/low/broken.mp4: is no video file" in error
    assert main(["extract", "set", "--out", "out", "--frames", "3", "--test-share", "0"]) == 1
    error = capsys.readouterr().err
    assert "9 train videos of 2 classes; train videos search each other" in error
    assert "out: left out, no videos by their names: 1, such as notes.txt" in error
    assert "out: 1 of 9 videos failed, the first: low/broken.mp4: is no video file" in error
    assert "Traceback" not in error
    rows = [json.loads(line) for line in Path("out/manifest.jsonl").read_text().splitlines()]
    assert [row["state"] for row in rows].count("done") == 8
    assert main(["extract", "set", "--out", "out"]) == 2
    assert "holds files already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing", "--out", "o"], "missing: no such folder"),
        (["set", "--out", "o", "--on-error", "x"], "--on-error x: expected continue or stop"),
        (["set", "--out", "o", "--backbone", "nope:x"], "--backbone nope:x"),
        (["set", "--out", "o", "--split", "2"], "--split 2: is for ucf101, hmdb51"),
        (["ucf101", "--out", "o"], "ucf101: say where it lies, with --videos DIR and --splits DIR"),
        (["ucf101", "--out", "o", "--videos", "set"], "ucf101: say where it lies"),
        (
            ["other", "--out", "o", "--videos", "set", "--splits", "set"],
            "other: --videos and --splits are for ucf101, hmdb51",
        ),
        (["ucf101", "--out", "o", "--videos", "set", "--splits", "set", "--test-share", "0.1"], "has official splits"),
    ],
)
def test_wrong_calls(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("set").mkdir()
    Path("set/a.mp4").write_text("")
    assert main(["extract", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bench: ")
    assert message in line
    assert not Path("o").exists()


def test_without_the_extra_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("bench.video.find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    Path("videos").mkdir()
    Path("videos/clip.mp4").touch()
    for call in (["extract", "videos", "--out", "new"], ["index", "videos", "--out", "new"], ["search", "videos", "a"]):
        assert main(call) == 2
        assert 'pip install "vhbench[video]"' in capsys.readouterr().err


def test_video_libraries_are_imported_by_this_verb_alone() -> None:
    script = "import sys, bench, bench.cli.app; print({'av', 'torch', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
