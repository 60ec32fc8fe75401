"""Small clips whose frames carry their number, in any codec and container, and a reader of these numbers."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

SIDE, BITS = 64, 6
RATE = 15
Image = NDArray[np.uint8]


def numbered(number: int) -> Image:
    """A frame (64, 64, 3) that shows a number below 64: columns of black and white, the lowest bit on the left."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            image[:, 10 * bit + 2 : 10 * bit + 12] = 255
    return image


def number_in(image: Image) -> int:
    """The number that a frame shows, whatever compression made of it."""
    return sum(int(image[10:-10, 10 * bit + 5 : 10 * bit + 9].mean() > 128) << bit for bit in range(BITS))


def moving(shape: str, speed: int, direction: int, frames: int = 16) -> list[Image]:
    """A bright shape that moves over a dark ground."""
    across, down = np.meshgrid(np.arange(64), np.arange(64))
    images = []
    for time in range(frames):
        left = (10 + direction * speed * time) % 40
        inside = {
            "square": (abs(across - left - 12) < 12) & (abs(down - 32) < 12),
            "stripes": (across + left) % 12 < 5,
            "disc": (across - left - 12) ** 2 + (down - 32) ** 2 < 200,
        }[shape]
        image = np.full((64, 64, 3), 30, np.uint8)
        image[inside] = {"square": (220, 60, 40), "stripes": (230, 230, 230), "disc": (40, 90, 230)}[shape]
        images.append(image)
    return images


def write_clip(
    path: Path,
    images: Sequence[Image],
    codec: str = "libx264",
    *,
    pixels: str = "yuv420p",
    times: Sequence[int] | None = None,
    muxer: dict[str, str] | None = None,
    turned: tuple[float, bool] | None = None,
    rate: int = RATE,
    container: str | None = None,
    **options: str,
) -> Path:
    """Write a clip; `times` in units of 1/`rate` seconds, else 0, 1, 2 …; `turned`: degrees, and whether mirrored."""
    with av.open(str(path), "w", format=container, options=muxer or {}) as file:
        stream: Any = file.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = images[0].shape[1], images[0].shape[0], pixels
        stream.time_base = Fraction(1, rate)
        if turned:
            stream.set_display_rotation(turned[0], hflip=turned[1])
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24" if image.shape[2] == 3 else "rgba")
            frame.pts, frame.time_base = times[number] if times else number, Fraction(1, rate)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def write_numbered(path: Path, count: int = 30, codec: str = "libx264", **settings: Any) -> Path:
    """Write a clip of frames that show 0, 1, 2 …"""
    return write_clip(path, [numbered(number) for number in range(count)], codec, **settings)


def write_sound(path: Path, cover: bool = False) -> Path:
    """Write a second of sound, with a picture of its cover or without."""
    with av.open(str(path), "w") as file:
        sound: Any = file.add_stream("aac", rate=8000)
        picture: Any = file.add_stream("png", rate=1) if cover else None
        if cover:
            picture.width, picture.height, picture.pix_fmt = SIDE, SIDE, "rgb24"
            picture.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        file.mux(sound.encode(frame))
        file.mux(sound.encode())
        if cover:
            file.mux(picture.encode(av.VideoFrame.from_ndarray(numbered(0))))
            file.mux(picture.encode())
    return path
