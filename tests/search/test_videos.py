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


def test_several_queries_are_shown_with_their_labels(place: Path) -> None:
    assert bench(place, "search", "index", "test.npy", "-k", "2", "--page", "several.html") == 0
    page = (place / "several.html").read_text()
    queries = [
        line for line in (place / "features/manifest.jsonl").read_text().splitlines() if '"split":"test"' in line
    ]
    sections = page.split("<section>")[1:]
    assert len(sections) == len(queries) > 1
    for section, query in zip(sections, map(json.loads, queries), strict=True):
        assert query["path"] in section
        # The nearest is the query itself, or one with the same code.
        assert section.count("<img ") == 3
        assert f"<p>{query['labels'][0]}</p>" in section
        for item in section.split("<li ")[1:]:
            assert item.startswith('class="hit"') == (f" · {query['labels'][0]} · hit" in item)
            assert item.startswith('class="miss"') == (" · miss" in item)
    by_features = [*("search", "index", "features/test_feats.h5", "-k", "2", "--page", "by features.html")]
    assert bench(place, *by_features) == 0
    assert (place / "by features.html").read_text() == page


@pytest.fixture
def mine(place: Path, tmp_path: Path) -> Path:
    """A folder with three clips, one file that is none, and a further clip beside."""
    videos = tmp_path / "my videos"
    (videos / "more").mkdir(parents=True)
    for clip, name in (
        ("disc/1.webm", "a disc.webm"),
        ("disc/3.webm", "more/a disc.webm"),
        ("square/1.webm", "b.webm"),
    ):
        shutil.copy(place / "videos" / clip, videos / name)
    (videos / "broken.mp4").write_text("no video")
    shutil.copy(place / "videos/disc/5.webm", tmp_path / "new clip.webm")
    return tmp_path


def test_one_line_from_a_folder_of_videos_to_a_page(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ("search", "my videos", "new clip.webm", "--json", "--page", "found.html")
    assert bench(mine, *line) == 0
    out, err = capsys.readouterr()
    (found,) = json.loads(out)
    assert [hit["id"] for hit in found["results"]][2] == "b.webm"
    assert "my videos.index: indexing 4 videos without labels" in err
    assert "1 of 4 videos failed, the first: broken.mp4: is no video file" in err
    assert "codes by lsh: these videos are too few" in err
    assert (mine / "found.html").read_text().count("data:image/jpeg") == 4
    (mine / "my videos.index/index.json").unlink()  # as if it had been killed at the end
    assert bench(mine, *line) == 0
    again = capsys.readouterr()
    assert (again.out, "indexing" in again.err) == (out, False)


def test_an_index_of_videos_follows_its_folder(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def search() -> tuple[str, list[tuple[str, int]]]:
        capsys.readouterr()
        assert bench(mine, "search", "my videos", "new clip.webm", "--json") == 0
        out, err = capsys.readouterr()
        return err, [(hit["id"], hit["distance"]) for hit in json.loads(out)[0]["results"]]

    videos, encoder = mine / "my videos", mine / "my videos.index/encoder"
    assert {name for name, _ in search()[1]} == {"a disc.webm", "b.webm", "more/a disc.webm"}
    learned = [path.read_bytes() for path in sorted(encoder.iterdir())]
    shutil.copy(mine / "new clip.webm", videos / "c.webm")
    shutil.copy(mine / "new clip.webm", videos / "b.webm")
    shutil.rmtree(videos / "more")
    said, found = search()
    assert "new videos: 1, changed: 1, gone: 1; updating the index" in said
    assert found[:2] == [("b.webm", 0), ("c.webm", 0)]
    assert [name for name, _ in found[2:]] == ["a disc.webm"]
    assert [path.read_bytes() for path in sorted(encoder.iterdir())] == learned
    # As if it had been killed between features and index.
    (mine / "my videos.index/features/extract.json").touch()
    (mine / "my videos.index/codes.npy").unlink()
    assert bench(mine, "index", "my videos", "--out", "my videos.index", "--add") == 0
    assert "updating" not in capsys.readouterr().err
    assert (mine / "my videos.index/codes.npy").exists()


def test_itq_learns_from_enough_videos(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.search.videos.BITS", 2)
    assert bench(mine, "index", "my videos", "--out", "small") == 0
    assert json.loads((mine / "small/encoder/encoder.json").read_text())["method"] == "itq"


def test_folders_that_give_no_index_of_videos(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (mine / "empty").mkdir()
    (mine / "other").mkdir()
    (mine / "other/broken.mp4").write_text("no video")
    for call, reason in (
        (["search", "my videos", "none.webm"], "none.webm: neither a file nor a video in my videos"),
        (["search", "empty", "b.webm"], "empty: holds no videos; name the folder that does"),
        (["index", "my videos", "--out", "other"], "other: holds no index of videos, but something else"),
        (["index", "other", "--out", "new"], "new: none of the videos can be used; new/features/manifest.jsonl has"),
        (["index", "my videos", "--out", "new"], "new: is made of the videos in"),
    ):
        assert bench(mine, *call) == 2
        assert reason in capsys.readouterr().err
