"""Decoding in processes: no file takes the program down, holds it up, or opens anything else."""

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from bench.video import decoding
from bench.video.clip import VideoError
from bench.video.decoding import Decoded, Sampling, decoded
from bench.video.preprocessing import Preprocessing
from tests.conftest import survived

from . import hostile, workers
from .clips import number_in, write_numbered

SAMPLING = Sampling(frames=5, preprocessing=Preprocessing(resize=64, crop=64))


def decode(paths: list[Path], jobs: int = 2) -> dict[str, Decoded]:
    return {paths[outcome.number].name: outcome for outcome in decoded(paths, SAMPLING, jobs)}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Decoded]]:
    """The outcome of every hostile file; the address that some refer to is listened at, and nobody comes."""
    folder = tmp_path_factory.mktemp("hostile")
    sound = hostile.small_clips(folder)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/clip.ts"
        files = {
            **sound,
            **hostile.cut(sound),
            **hostile.flipped(sound),
            **hostile.bombs(sound),
            **hostile.endless(sound),
            **hostile.repeated(sound),
            **hostile.references(folder / "clip.ts", address),
        }
        for name, content in files.items():
            (folder / name).write_bytes(content)
        yield decode([*(folder / name for name in files), *hostile.write_no_files(folder)])
        with pytest.raises(BlockingIOError):
            server.accept()


def test_every_hostile_file_ends_in_frames_or_a_reason(corpus: dict[str, Decoded]) -> None:
    assert len(corpus) > 100
    for name, outcome in corpus.items():
        facts = outcome.facts
        assert (outcome.pixels is None) == (facts.reason is not None), name
        assert len(facts.times) == (0 if facts.reason else SAMPLING.frames), name
        if facts.reason is not None:
            assert facts.reason.isprintable(), name
            assert ";" in facts.reason, f"{name}: no fix in {facts.reason}"
            assert "hostile" not in facts.reason, f"{name}: the path is not repeated"
    survived("hostile videos", len(corpus))


def test_sound_files_among_them_are_decoded(corpus: dict[str, Decoded], tmp_path: Path) -> None:
    for name in hostile.small_clips(tmp_path):
        outcome = corpus[name]
        assert outcome.pixels is not None
        assert [number_in(frame) for frame in outcome.pixels] == [2, 6, 10, 14, 18]


@pytest.mark.parametrize(
    "kind", ["bomb", "hls", "concat", "dash", "link", "session", "terminal", "billion-times", "repeated"]
)
def test_none_of_these_gives_frames(kind: str, corpus: dict[str, Decoded]) -> None:
    found = [outcome for name, outcome in corpus.items() if name.startswith(kind)]
    assert found
    assert all(outcome.pixels is None for outcome in found)


def test_plain_ffmpeg_follows_what_is_not_followed_here(tmp_path: Path) -> None:
    """The corpus refers to its target in a way that works, so that it shows something."""
    target = write_numbered(tmp_path / "clip.ts", 20, "mpeg2video", rate=25)
    content = hostile.references(target, "http://127.0.0.1:1/")["concat-file.mp4"]
    (tmp_path / "list.mp4").write_bytes(content)
    with av.open(str(tmp_path / "list.mp4"), options={"safe": "0"}) as container:
        assert len(list(container.decode(video=0))) == 20


def test_names_without_a_file_say_what_they_are(corpus: dict[str, Decoded]) -> None:
    reasons = {name: str(outcome.facts.reason) for name, outcome in corpus.items()}
    assert "empty" in reasons["empty.mp4"]
    assert "folder" in reasons["folder.mp4"]
    assert "pipe" in reasons["pipe.mp4"]
    assert "link" in reasons["broken.mp4"]
    assert "no such file" in reasons["missing.mp4"]


def test_a_file_is_known_by_its_content_whatever_becomes_of_it(corpus: dict[str, Decoded]) -> None:
    empty = corpus["empty.mp4"].facts
    assert (empty.size, empty.sha256) == (0, hashlib.sha256().hexdigest())
    assert all(outcome.facts.sha256 for name, outcome in corpus.items() if name.startswith(("cut", "bomb", "hls")))


@pytest.mark.parametrize(
    ("worker", "reason"),
    [
        ("spin", "processor time"),
        ("stall", "processor time for a frame"),
        ("crash", "signal 6"),
        ("lie", "without a result"),
        ("sleep", "long time"),
        ("hoard", "1 GB of memory"),
    ],
)
def test_a_process_that_gives_no_frames_is_ended(
    worker: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_work", getattr(workers, worker))
    if worker == "sleep":
        monkeypatch.setattr(decoding, "SLOWEST", 0.1)
    outcome = decode([write_numbered(tmp_path / "clip.mp4", 3)])["clip.mp4"]
    assert outcome.pixels is None
    assert reason in str(outcome.facts.reason)


def test_a_small_file_of_endless_frames_is_ended_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_work", workers.hasten)
    outcome = decode([hostile.still(tmp_path / "still.h264")])["still.h264"]
    assert outcome.pixels is None
    assert "of processor time, and has" in str(outcome.facts.reason)


@pytest.mark.parametrize(
    ("spent", "share", "ended"),
    [(1.9, 1e-6, False), (2.1, 1e-6, True), (2.1, 0.1, False), (99, 0.2, False), (99, 0.1, True)],
)
def test_a_video_that_will_end_within_its_time_goes_on(
    spent: float, share: float, ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has 500 s."""
    monkeypatch.setattr("bench.video.decoding.resource.setrlimit", lambda *_: None)
    now = 10.0
    monkeypatch.setattr("bench.video.decoding.time.process_time", lambda: now)
    limits = decoding._Limits(500)
    now = 70.0
    limits.passed(0)  # decoding begins again, from the start of the file
    now += spent
    if ended:
        with pytest.raises(VideoError, match="and has 500 s by its size"):
            limits.passed(share)
    else:
        limits.passed(share)


def test_more_videos_than_jobs_come_once_each(tmp_path: Path) -> None:
    paths = [write_numbered(tmp_path / f"{number}.mp4", number) for number in range(1, 8)]
    outcomes = list(decoded(paths, SAMPLING, 3))
    assert sorted(outcome.number for outcome in outcomes) == list(range(7))
    for outcome in outcomes:
        assert outcome.pixels is not None
        assert number_in(outcome.pixels[-1]) == outcome.number
