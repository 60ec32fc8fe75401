"""One video file: which of its frames are taken, at which times, and their decoding.

A video is shown from the time `S` at which its first frame appears to the end `E` of its last one. It is divided into
`T` equal spans, and from each the frame is taken that is on the screen at its centre, at `S + (i + 1/2) (E - S) / T`
for i = 0 … T-1: the last one that appears no later. Times are those of the frames in the file, so their rate may vary.
A video with fewer frames than spans gives some of them several times.

FFmpeg reads from a file that the caller has opened, and can open nothing else: no other file, no address.
"""

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
MOST_PIXELS = 2**26
"""Of a frame: twice those of 8K video."""
FORMATS = (
    "asf,av1,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,rm,vc1,"
    "yuv4mpegpipe"
)
"""Containers of video, by FFmpeg's names: no playlists, patterns of file names, devices, texts drawn as video."""
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "none", "max_pixels": str(MOST_PIXELS)}
WORTH_SEEKING = 8
"""Frames that a jump to a key frame leaves out; for fewer, it costs more than it saves."""
DECIMALS = 6
"""Of times in seconds: FFmpeg's own unit is a microsecond."""
UNKNOWN_RATE = 25
"""Frames a second where a file says nothing, as FFmpeg assumes."""
MOST_REPEATED = 4
"""Times a file's size that its frames may take: edit lists repeat parts, and hostile files one frame endlessly."""
Progress = Callable[[float], None]
"""Takes the share of a video's frames that are passed."""


class VideoError(Exception):
    """A video that cannot be used; the message is the reason."""


@dataclass(frozen=True)
class Clip:
    """Frames of a video, and what is known of it; times are in seconds."""

    frames: Pixels
    """(T, …), each as it was shaped."""
    times: list[float]
    """The appearance of each frame, from that of the first frame of the video."""
    duration: float
    """Of the video in the file."""
    declared: float | None
    """The duration that the file declares, if it does."""
    damaged: int
    """Frames that decode with errors, or not at all: the last good one before stands for them."""


@dataclass(frozen=True)
class Timeline:
    """The times at which the frames of a stream appear, in units of its time base."""

    times: list[int]
    """Sorted."""
    keys: list[int]
    """Those of frames at which decoding can start, sorted; empty where it must start at the beginning."""
    end: int
    unit: float
    """Seconds."""
    timed: bool
    """Whether the file has times; else frame k appears at k units."""
    declared: float | None

    def centres(self, spans: int) -> list[int]:
        """The centres of equal spans, rounded down to units."""
        start, length = self.times[0], self.end - self.times[0]
        return [start + (2 * number + 1) * length // (2 * spans) for number in range(spans)]

    def shown(self, time: int) -> int:
        """The time at which the frame appeared that is on the screen at `time`."""
        return self.times[bisect_right(self.times, time) - 1]

    def share(self, time: int) -> float:
        """The share of the frames that appear up to `time`."""
        return bisect_right(self.times, time) / len(self.times)

    def key_ahead(self, time: int, position: int) -> int | None:
        """The last key frame up to `time`, if it lies well ahead of the `position` that was decoded."""
        number = bisect_right(self.keys, time) - 1
        if number < 0:
            return None
        left_out = bisect_right(self.times, self.keys[number]) - 1 - bisect_right(self.times, position)
        return self.keys[number] if left_out > WORTH_SEEKING else None


def read_clip(
    file: BinaryIO, frames: int, shape: Callable[[Pixels], Pixels], passed: Progress = lambda share: None
) -> Clip:
    """`frames` frames of the first video stream in a file: upright, RGB (H, W, 3) without alpha, then as shaped.

    `passed` is called with 0 for every packet that is listed and before decoding begins, also when it begins again, and
    then for every frame that is decoded. Raises VideoError if there is no video, or none of its frames can be decoded.
    """
    with _opened(file) as (container, stream):
        timeline = _timeline(container, stream, os.fstat(file.fileno()).st_size, passed)
    clip = _decoded(file, timeline, frames, shape, passed, seeking=True) if timeline.keys else None
    clip = clip or _decoded(file, timeline, frames, shape, passed, seeking=False)
    if clip is None:
        raise VideoError("none of its frames can be decoded; encode it again")
    return clip


@contextmanager
def _opened(file: BinaryIO) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container, and its first video stream, decoded by one thread."""
    file.seek(0)
    try:
        container = av.open(file, "r", options=OPTIONS, io_open=_refuse)
    except av.error.MemoryError:
        raise
    except (av.FFmpegError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise VideoError(f"is no video file, or a damaged one ({why}); download or encode it again") from error
    with container:
        streams = [
            stream for stream in container.streams.video if not stream.disposition & stream.disposition.attached_pic
        ]
        if not streams:
            raise VideoError("holds no video, only sound or pictures; leave it out")
        stream = streams[0]
        context = stream.codec_context
        if context is None:
            raise VideoError("FFmpeg has no decoder for its video; encode it again, as H.264 for instance")
        if context.width * context.height > MOST_PIXELS:
            size = f"{context.width} × {context.height}"
            raise VideoError(f"has frames of {size} pixels, more than {MOST_PIXELS:,}; encode it with smaller ones")
        context.options = {"max_pixels": str(MOST_PIXELS)}
        context.thread_count = 1
        yield container, stream


def _refuse(url: str, *_: object) -> BinaryIO:
    raise PermissionError("a video file that refers to others is not followed")


def _packets(container: InputContainer, stream: VideoStream) -> Iterator["Packet[VideoStream] | None"]:
    """The packets of a stream, as far as the file goes; then None, upon which a decoder gives what it still has."""
    while True:
        try:
            yield from container.demux(stream)
        except IndexError:  # PyAV knows no stream that begins in the middle of a file; that packet is lost
            continue
        except av.error.MemoryError:
            raise
        except av.FFmpegError:
            yield None
        return


def _timeline(container: InputContainer, stream: VideoStream, size: int, passed: Progress) -> Timeline:
    """The timeline of a stream in a file of `size` bytes, from its packets: exact, and nothing is decoded."""
    packets, taken = [], 0
    for packet in _packets(container, stream):
        passed(0)
        if packet is not None and packet.size and not packet.is_discard:
            packets.append((packet.pts, packet.duration, packet.is_keyframe))
            taken += packet.size
            if taken > MOST_REPEATED * size:
                raise VideoError("repeats the same bytes as frame after frame; encode it again")
    if not packets:
        raise VideoError("holds no frame of video; download or encode it again")
    rate = stream.average_rate or stream.guessed_rate or UNKNOWN_RATE
    unit = stream.time_base
    seconds = float(stream.duration * unit) if stream.duration and unit else (container.duration or 0) / av.time_base
    declared = round(seconds, DECIMALS) or None
    stamped = sorted((time, duration or 0, is_key) for time, duration, is_key in packets if time is not None)
    if unit is None or len(stamped) < len(packets):
        return Timeline(list(range(len(packets))), [], len(packets), float(1 / rate), False, declared)
    times = [time for time, _, _ in stamped]
    gaps = [after - before for before, after in pairwise(times) if after > before]
    last = stamped[-1][1] or (gaps[-1] if gaps else max(1, round(1 / (rate * unit))))
    keys = [time for time, _, is_key in stamped if is_key]
    return Timeline(times, keys, times[-1] + last, float(unit), True, declared)


def _decoded(
    file: BinaryIO,
    timeline: Timeline,
    count: int,
    shape: Callable[[Pixels], Pixels],
    passed: Progress,
    *,
    seeking: bool,
) -> Clip | None:
    """The clip; None if no frame decodes or, `seeking`, if a frame is not found where the timeline has it.

    Containers seek to other places than asked, and streams have key frames that cannot be decoded alone: then all is
    decoded from the beginning.
    """
    frames: list[Pixels] = []
    times: list[int] = []
    damaged, convert = 0, _Converter(shape)
    passed(0)
    with _opened(file) as (container, stream):
        decoder = _Decoder(container, stream, timeline, passed)
        for target in timeline.centres(count):
            expected = timeline.shown(target)
            key = timeline.key_ahead(target, decoder.position) if seeking else None
            if key is not None and not decoder.seek(key):
                return None
            frame = decoder.shown(target, expected)
            if frame is None or (seeking and frame[0] != expected):
                return None
            frames.append(convert(frame[1]) if not times or times[-1] != frame[0] else frames[-1])
            times.append(frame[0])
            damaged += frame[0] != expected or frame[1].is_corrupt
    seconds = [round((time - timeline.times[0]) * timeline.unit, DECIMALS) for time in times]
    duration = round((timeline.end - timeline.times[0]) * timeline.unit, DECIMALS)
    return Clip(np.stack(frames), seconds, duration, timeline.declared, damaged)


class _Decoder:
    """Frames of a stream, in the order of their times, from wherever it was sought."""

    def __init__(
        self, container: InputContainer, stream: VideoStream, timeline: Timeline, passed: Progress
    ) -> None:  # fmt: skip
        self._container, self._stream, self._timeline, self._passed = container, stream, timeline, passed
        self._source = self._frames()
        self._current: tuple[int, VideoFrame] | None = None
        self._next: tuple[int, VideoFrame] | None = None
        self.position = -(2**63)
        """The time of the last frame decoded."""

    def seek(self, key: int) -> bool:
        """Go on from a key frame; whether that is possible."""
        try:
            self._container.seek(key, stream=self._stream)
        except av.FFmpegError:
            return False
        self._source, self._current, self._next = self._frames(), None, None
        return True

    def shown(self, target: int, expected: int) -> tuple[int, VideoFrame] | None:
        """The last frame up to `target`, which should be the `expected` one; the first of all if none is so early."""
        while self._current is None or self._current[0] != expected:
            if self._next is None:
                self._next = next(self._source, None)
            if self._next is None or self._next[0] > target:
                break
            self._current, self._next = self._next, None
        return self._current or self._next

    def _frames(self) -> Iterator[tuple[int, VideoFrame]]:
        count = 0
        for packet in _packets(self._container, self._stream):
            try:
                decoded = self._stream.decode(packet)
            except av.error.MemoryError:
                raise
            except av.FFmpegError:  # damage, or what damage looks like to the decoder
                continue
            for frame in decoded:
                self.position = frame.pts if self._timeline.timed and frame.pts is not None else count
                count += 1
                self._passed(self._timeline.share(self.position))
                yield self.position, frame


class _Converter:
    """Decoded frames as upright RGB, then shaped."""

    def __init__(self, shape: Callable[[Pixels], Pixels]) -> None:
        self._shape, self._reformatter = shape, VideoReformatter()

    def __call__(self, frame: VideoFrame) -> Pixels:
        rgb = self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        return self._shape(np.ascontiguousarray(_upright(frame, np.asarray(rgb, np.uint8))))


def _upright(frame: VideoFrame, rgb: Pixels) -> Pixels:
    """Turned and mirrored as the file's display matrix says: pixel (x, y) is shown at (a x + c y, b x + d y)."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return rgb
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        rgb, a, d = rgb.transpose(1, 0, 2), c, b
    return rgb[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
