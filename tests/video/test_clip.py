"""The frames taken of a video are the right ones by the numbers that they show."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.video.clip import Clip, Pixels, Timeline, VideoError, _packets, read_clip

from .clips import RATE, number_in, numbered, write_clip, write_numbered, write_sound


def unchanged(frame: Pixels) -> Pixels:
    return frame


def read(path: Path, frames: int) -> Clip:
    with path.open("rb") as file:
        return read_clip(file, frames, unchanged)


def numbers(clip: Clip) -> list[int]:
    return [number_in(frame) for frame in clip.frames]


def on_screen(times: Sequence[int], end: int, spans: int) -> list[int]:
    """The frames that are shown at the centres of equal spans; slow and exact."""
    width = Fraction(end - times[0], spans)
    centres = [times[0] + width * (span + Fraction(1, 2)) for span in range(spans)]
    return [max(number for number, time in enumerate(times) if time <= centre) for centre in centres]


FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "h264.mp4": ("libx264", {"bf": "3"}),
    "begun-by-b-frames.mp4": ("libx264", {"bf": "3", "g": "6", "x264-params": "open-gop=1"}),
    "10-bit.mov": ("libx264", {"pixels": "yuv420p10le"}),
    "444.mkv": ("libx264", {"pixels": "yuv444p"}),
    "fragments.mp4": ("libx264", {"g": "5", "muxer": {"movflags": "frag_keyframe+empty_moov"}}),
    "hevc.mp4": ("libx265", {"x265-params": "log-level=none:pools=1"}),
    "vp8.webm": ("libvpx", {"auto-alt-ref": "1", "lag-in-frames": "10"}),
    "vp9.webm": ("libvpx-vp9", {"auto-alt-ref": "1", "lag-in-frames": "10", "cpu-used": "8"}),
    "mpeg4.avi": ("mpeg4", {"bf": "2"}),
    "mpeg2.ts": ("mpeg2video", {"bf": "2", "rate": 25}),
    "mpeg1.mpg": ("mpeg1video", {"bf": "2", "rate": 25}),
    "sorenson.flv": ("flv", {}),
    "wmv2.wmv": ("wmv2", {}),
    "rgb8.gif": ("gif", {"pixels": "rgb8"}),
    "no-times.h264": ("libx264", {"bf": "2"}),
    "no-duration.mkv": ("libx264", {"muxer": {"live": "1"}}),
}


def test_packets_go_on_after_those_of_a_stream_that_pyav_does_not_know() -> None:
    class Container:
        """Raises once what PyAV raises at a stream that begins in the middle of a damaged file, and goes on there."""

        packets: Iterator[int | None] = iter([1, 2, -1, 3, None])

        def demux(self, _: object) -> Iterator[int | None]:
            for packet in self.packets:
                if packet == -1:
                    raise IndexError
                yield packet

    found: Any = Container()
    packets: list[Any] = list(_packets(found, found))
    assert packets == [1, 2, 3, None]


@pytest.mark.parametrize("name", FORMS)
def test_the_frames_at_the_centres_of_equal_spans(name: str, tmp_path: Path) -> None:
    codec, options = FORMS[name]
    clip = read(write_numbered(tmp_path / name, 30, codec, **options), 8)
    assert numbers(clip) == on_screen(range(30), 30, 8) == [1, 5, 9, 13, 16, 20, 24, 28]
    assert clip.damaged == 0
    rate = 25 if name == "no-times.h264" else options.get("rate", RATE)
    assert clip.duration == pytest.approx(30 / rate, abs=0.02)
    if name in {"no-times.h264", "no-duration.mkv"}:
        assert clip.declared is None
    np.testing.assert_allclose(clip.times, np.array(numbers(clip)) / rate, atol=0.02)


VARIABLE = [0, 1, 2, 3, 20, 21, 22, 40, 58, 59]


@pytest.mark.parametrize("start", [0, 1000])
@pytest.mark.parametrize("name", ["variable.mp4", "variable.mkv"])
def test_the_rate_may_vary_and_the_start_be_late(name: str, start: int, tmp_path: Path) -> None:
    path = write_numbered(tmp_path / name, 10, times=[start + time for time in VARIABLE], bf="2")
    clip = read(path, 12)
    assert numbers(clip) == on_screen(VARIABLE, 60, 12)
    assert clip.duration == pytest.approx(60 / RATE, abs=0.01)


def test_a_video_with_fewer_frames_than_spans_gives_some_several_times(tmp_path: Path) -> None:
    assert numbers(read(write_numbered(tmp_path / "three.mp4", 3), 7)) == [0, 0, 1, 1, 1, 2, 2]
    one = read(write_numbered(tmp_path / "one.mp4", 1), 4)
    assert numbers(one) == [0] * 4
    assert one.times == [0.0] * 4


def test_a_long_video_is_decoded_from_key_frames_near_those_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [numbered(number % 64) for number in range(240)]
    path = write_clip(tmp_path / "long.mp4", images, g="12", bf="2")
    decoded: list[int] = []
    read_all = read(path, 240)
    assert numbers(read_all) == [number % 64 for number in range(240)]

    def counted(frame: Pixels) -> Pixels:
        decoded.append(number_in(frame))
        return frame

    from bench.video import clip as module

    received: list[int] = []
    original = module._Decoder._frames

    def frames(self: Any) -> Any:
        for time, frame in original(self):
            received.append(time)
            yield time, frame

    monkeypatch.setattr(module._Decoder, "_frames", frames)
    with path.open("rb") as file:
        clip = read_clip(file, 5, counted)
    assert numbers(clip) == [number % 64 for number in on_screen(range(240), 240, 5)]
    assert len(received) < 5 * 12
    assert len(decoded) == 5


@pytest.mark.parametrize(
    ("degrees", "mirrored", "corners"),
    # The corners' colours, row by row, of the picture turned counter-clockwise and then mirrored.
    [
        (0, False, "RGBK"),
        (0, True, "GRKB"),
        (90, False, "GKRB"),
        (90, True, "KGBR"),
        (180, False, "KBGR"),
        (180, True, "BKRG"),
        (270, False, "BRKG"),
        (270, True, "RBGK"),
    ],
)
def test_videos_are_turned_and_mirrored_as_they_say(
    degrees: float, mirrored: bool, corners: str, tmp_path: Path
) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32, 0] = image[:24, 32:, 1] = image[24:, :32, 2] = 255
    path = write_clip(tmp_path / "turned.mp4", [image] * 2, pixels="yuv444p", turned=(degrees, mirrored), crf="1")
    frame = read(path, 1).frames[0]
    height, width = frame.shape[:2]
    assert (height, width) == ((64, 48) if degrees % 180 else (48, 64))
    places = [frame[y, x] for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    assert "".join("RGBK"[int(np.argmax(place)) if place.max() > 100 else 3] for place in places) == corners


def test_alpha_is_dropped(tmp_path: Path) -> None:
    images = [np.dstack([numbered(number), np.full((64, 64), 40 * number, np.uint8)]) for number in range(5)]
    path = write_clip(tmp_path / "alpha.mov", images, "png", pixels="rgba")
    clip = read(path, 5)
    assert numbers(clip) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(clip.frames[3], numbered(3))


def test_a_truncated_video_is_shorter_than_it_declares(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "whole.mp4", 60, g="10", bf="0", muxer={"movflags": "faststart"})
    whole = read(path, 5)
    assert (whole.duration, whole.declared) == (4.0, 4.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    clip = read(path, 5)
    assert clip.declared == 4.0
    assert 0.5 < clip.duration < 3.5
    there = round(clip.duration * RATE)
    assert numbers(clip) == on_screen(range(there), there, 5)


def test_the_last_good_frame_stands_for_damaged_ones(tmp_path: Path) -> None:
    """Zeros in place of the second half, as a download leaves them that reserved its space."""
    path = write_numbered(tmp_path / "zeros.ts", 40, "mpeg2video", g="10", rate=25)
    content = bytearray(path.read_bytes())
    half = len(content) // 2 // 188 * 188
    # The packets stay, so that the times do; what they carry is gone.
    for packet in range(half, len(content) - 188 * 4, 188):
        content[packet + 100 : packet + 188] = bytes(88)
    path.write_bytes(content)
    clip = read(path, 20)
    assert numbers(clip)[:9] == on_screen(range(40), 40, 20)[:9]
    assert clip.damaged > 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text.mp4", "is no video file"),
        ("sound.mp4", "holds no video"),
        ("cover.mp4", "holds no video"),
        ("list.m3u8", "is no video file"),
        ("headers.mp4", "holds no frame"),
    ],
)
def test_files_without_video(name: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if reason == "holds no video":
        write_sound(path, cover=name == "cover.mp4")
    elif name == "headers.mp4":
        write_numbered(path, muxer={"movflags": "faststart"})
        content = path.read_bytes()
        path.write_bytes(content[: content.index(b"mdat") + 4])
    else:
        path.write_text("#EXTM3U\nelsewhere.ts\n" if name == "list.m3u8" else "no video\n" * 100)
    with pytest.raises(VideoError, match=reason):
        read(path, 3)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(-50, 300), min_size=1, max_size=30), st.integers(1, 40), st.integers(1, 20))
def test_the_timeline_against_exact_fractions(found: set[int], last: int, spans: int) -> None:
    times = sorted(found)
    timeline = Timeline(times, [], times[-1] + last, 1.0, True, None)
    shown = [times.index(timeline.shown(centre)) for centre in timeline.centres(spans)]
    assert shown == on_screen(times, times[-1] + last, spans)
