"""From video files to search results: the same clips find each other, by file and by name, and are shown."""

import json
import re
import shutil
from pathlib import Path

import pytest

from bench.cli import main
from tests.video.clips import moving, write_clip

SHAPES = ("disc", "square", "stripes")
CODECS = (("libx264", "mp4"), ("libvpx", "webm"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips of three classes in two codecs, their features, an encoder, codes and an index."""
    folder = tmp_path_factory.mktemp("clips")
    for shape in SHAPES:
        (folder / "videos" / shape).mkdir(parents=True)
        for number in range(6):
            images = moving(shape, number // 2 + 1, (1, -1)[number % 2], frames=8)
            codec, suffix = CODECS[number % 2]
            write_clip(folder / "videos" / shape / f"{number}.{suffix}", images, codec)
    for call in (
        ["extract", "videos", "--out", "features", "--frames", "2"],
        ["run", "--methods", "itq", "--bits", "8", "--datasets", "features", "--shard", "1/1"],
    ):
        assert bench(folder, *call) == 0
    (run,) = (folder / "results/runs/features/itq").iterdir()
    shutil.copytree(run / "encoder", folder / "encoder")
    for split in ("train", "test"):
        features = f"features/{split}_feats.h5"
        out = f"{split}.npy"
        assert bench(folder, "encode", "--encoder", "encoder", "--features", features, "--out", out) == 0
    assert bench(folder, "index", "train.npy", "--out", "index") == 0
    assert bench(folder, "index", "test.npy", "--out", "index", "--add") == 0
    return folder


def bench(folder: Path, *call: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return main(list(call))


def test_a_clip_finds_its_class_by_file_and_by_name(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = 0
    for shape in SHAPES:
        capsys.readouterr()
        assert bench(place, "search", "index", f"videos/{shape}/3.webm", "-k", "5", "--json") == 0
        (by_file,) = json.loads(capsys.readouterr().out)
        assert by_file["query"] == "3.webm"
        assert bench(place, "search", "index", f"{shape}/3.webm", "-k", "4", "--json") == 0
        (by_name,) = json.loads(capsys.readouterr().out)
        itself = [hit for hit in by_file["results"] if hit["id"] == f"{shape}/3.webm"]
        assert [hit["distance"] for hit in itself] in ([0], [])  # others may be as near
        assert f"{shape}/3.webm" not in {hit["id"] for hit in by_name["results"]}
        right += sum(hit["label"] == shape for hit in by_name["results"])
    # By chance 5 of the 17 others are of a query's class: fewer than 4 of 12.
    assert right >= 10


def test_results_are_shown_with_a_frame_of_every_video(place: Path) -> None:
    assert bench(place, "search", "index", "disc/3.webm", "-k", "4", "--page", "found.html") == 0
    page = (place / "found.html").read_text()
    assert len(re.findall(r'<img [^>]*src="data:image/jpeg;base64,[\w+/=]{500,}"', page)) == 5
    assert page.count('<li class="hit">') + page.count('<li class="miss">') == 4
    assert not re.search(r"https?://|<script", page)
    before = page
    assert bench(place, "search", "index", "disc/3.webm", "-k", "4", "--page", "found.html") == 0
    assert (place / "found.html").read_text() == before


def test_a_video_that_is_gone_has_no_picture(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place, tmp_path / "copy")
    described = tmp_path / "copy/features/extract.json"
    described.write_text(json.dumps(json.loads(described.read_text()) | {"root": str(tmp_path / "nowhere")}))
    index = tmp_path / "copy/index/index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"extraction": str(tmp_path / "copy/features")}))
    assert bench(tmp_path / "copy", "search", "index", "disc/3.webm", "--page", "found.html") == 0
    page = (tmp_path / "copy/found.html").read_text()
    assert "data:image" not in page
    assert "no picture" in page


def test_files_that_are_no_videos_and_pages_that_are_somebody_s(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "broken.mp4").write_text("no video")
    (place / "mine.html").write_text("my page")
    for call, reason in (
        (["broken.mp4"], "broken.mp4: is no video file"),
        (["disc/3.webm", "--page", "mine.html"], "mine.html: is no new .html file in a folder, nor an earlier page"),
        (["disc/9.webm"], "neither a file nor in index: did you mean disc/"),
    ):
        assert bench(place, "search", "index", *call) == 2
        assert reason in capsys.readouterr().err
    assert (place / "mine.html").read_text() == "my page"
