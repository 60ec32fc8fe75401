"""Files that harm a careless decoder: cut, changed at random, with impossible sizes and counts, referring to others."""

import os
import random
import struct
import zlib
from pathlib import Path

import av
import numpy as np

from .clips import write_clip, write_numbered

Files = dict[str, bytes]


def small_clips(folder: Path) -> Files:
    """Sound clips of 21 frames in containers that are read in different ways."""
    forms = {
        "index-first.mp4": ("libx264", {"muxer": {"movflags": "faststart"}}),
        "index-last.mp4": ("libx264", {}),
        "fragments.mp4": ("mpeg4", {"g": "5", "muxer": {"movflags": "frag_keyframe+empty_moov"}}),
        "clip.mkv": ("mpeg4", {}),
        "clip.avi": ("mpeg4", {"bf": "2"}),
        "clip.ts": ("mpeg2video", {"bf": "2", "rate": 25}),
        "clip.webm": ("libvpx", {"auto-alt-ref": "1", "lag-in-frames": "5"}),
        "clip.gif": ("gif", {"pixels": "rgb8"}),
        "photos.avi": ("mjpeg", {"pixels": "yuvj420p"}),
        "pictures.mov": ("png", {"pixels": "rgb24"}),
    }
    return {
        name: write_numbered(folder / name, 21, codec, **options).read_bytes()  # type: ignore[arg-type]
        for name, (codec, options) in forms.items()
    }


def cut(sound: Files) -> Files:
    """Cut at every tenth."""
    return {
        f"cut-{tenth}-{name}": content[: len(content) * tenth // 10]
        for name, content in sound.items()
        if name in {"index-first.mp4", "fragments.mp4", "clip.mkv", "clip.avi", "clip.ts", "clip.webm"}
        for tenth in range(1, 10)
    }


def flipped(sound: Files) -> Files:
    """One bit in a few hundred bytes, at random; and one in thirty."""
    draw, found = random.Random(0), {}
    for name, content in sound.items():
        for number, each in enumerate((400, 400, 30)):
            changed = bytearray(content)
            for _ in range(len(content) // each + 1):
                changed[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            found[f"flipped-{number}-{name}"] = bytes(changed)
    return found


def bombs(sound: Files) -> Files:
    """Frames of up to 100,000 × 100,000 pixels in files of a few kilobytes."""
    photos = bytearray(sound["photos.avi"])
    for place in _places(photos, b"\xff\xc0\x00\x11\x08"):
        photos[place + 5 : place + 9] = b"\xff\xff\xff\xff"
    pictures = bytearray(sound["pictures.mov"])
    for place in _places(pictures, b"IHDR"):
        pictures[place + 4 : place + 12] = struct.pack(">II", 100_000, 100_000)
        pictures[place + 17 : place + 21] = struct.pack(">I", zlib.crc32(pictures[place : place + 17]))
    gif = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6)
    gif += b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x4c\x01\x00;"
    webm = bytearray(sound["clip.webm"])
    for place in _places(webm, b"\x9d\x01\x2a"):
        webm[place + 3 : place + 7] = struct.pack("<HH", 16383, 16383)
    return {
        "bomb-photos.avi": bytes(photos),
        "bomb-pictures.mov": bytes(pictures),
        "bomb.gif": gif,
        "bomb.webm": bytes(webm),
        "bomb.y4m": b"YUV4MPEG2 W100000 H100000 F25:1 C420\nFRAME\n" + bytes(1000),
        "thin.y4m": b"YUV4MPEG2 W1000000 H1 F25:1 C444\nFRAME\n" + bytes(3_000_000),
    }


def endless(sound: Files) -> Files:
    """A billion frames declared, in several places."""
    mp4, count = sound["index-last.mp4"], 10**9
    sizes, times, avi = bytearray(mp4), bytearray(mp4), bytearray(sound["clip.avi"])
    place = sizes.index(b"stsz")
    sizes[place + 8 : place + 16] = struct.pack(">II", 0, count)
    for one in (1, 0):  # bytes a frame; none
        times[place + 8 : place + 16] = struct.pack(">II", one, count)
        start = times.index(b"stts")
        times[start + 12 : start + 20] = struct.pack(">II", count, 1)
        start = times.index(b"stsc")
        times[start + 16 : start + 20] = struct.pack(">I", count)
    for mark, offset in ((b"avih", 24), (b"strh", 40)):
        start = avi.index(mark)
        avi[start + offset : start + offset + 4] = struct.pack("<I", count)
    return {"billion-sizes.mp4": bytes(sizes), "billion-times.mp4": bytes(times), "billion.avi": bytes(avi)}


def repeated(sound: Files) -> Files:
    """A table of 25,000 frames that are all the first one of a clip."""
    mp4, count = bytearray(sound["index-last.mp4"].replace(b"edts", b"free")), 25_000
    tables = {name: mp4.index(name) for name in (b"stts", b"stsc", b"stsz", b"stco")}
    first = mp4[tables[b"stco"] + 12 : tables[b"stco"] + 16]
    struct.pack_into(">II", mp4, tables[b"stts"] + 8, 1, count)
    struct.pack_into(">IIII", mp4, tables[b"stsc"] + 8, 1, 1, 1, 1)
    (size,) = struct.unpack_from(">I", mp4, tables[b"stsz"] + 16)
    struct.pack_into(">II", mp4, tables[b"stsz"] + 8, size, count)
    struct.pack_into(">I", mp4, tables[b"stco"] + 8, count)
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stco"):
        place = mp4.index(name) - 4
        struct.pack_into(">I", mp4, place, struct.unpack_from(">I", mp4, place)[0] + 4 * (count - 1))
    mp4[tables[b"stco"] + 16 : tables[b"stco"] + 16] = first * (count - 1)
    return {"repeated.mp4": bytes(mp4)}


def still(path: Path) -> Path:
    """Write 20,000 large frames of 26 bytes each, that change nothing: they decode for minutes."""
    images = [np.full((2048, 2048, 3), 90, np.uint8)] * 2
    write_clip(path, images, bf="0", preset="ultrafast")
    with av.open(str(path)) as container:
        last = [bytes(packet) for packet in container.demux(video=0) if packet.size][-1]
    path.write_bytes(path.read_bytes() + last * 20_000)
    return path


def references(target: Path, address: str) -> Files:
    """Playlists and the like that name a file, which is a video, or an address."""
    found: dict[str, str] = {}
    for name, place in (("file", str(target)), ("address", address)):
        found |= {
            f"hls-{name}.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{place}\n#EXT-X-ENDLIST\n",
            f"concat-{name}.mp4": f"ffconcat version 1.0\nfile '{place}'\n",
            f"dash-{name}.mp4": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            f'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" '
            f'bandwidth="1"><BaseURL>{place}</BaseURL></Representation></AdaptationSet></Period></MPD>',
            f"link-{name}.mp4": f"{place}\n",
        }
    found["session.mp4"] = (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    )
    found["terminal.mp4"] = "\x1b[31mtext that FFmpeg would draw\n" * 50
    return {name: text.encode() for name, text in found.items()}


def write_no_files(folder: Path) -> list[Path]:
    """Names under which there is no file with data."""
    (folder / "empty.mp4").touch()
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "broken.mp4").symlink_to("nowhere.mp4")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    return [folder / name for name in ("empty.mp4", "folder.mp4", "pipe.mp4", "broken.mp4", "loop.mp4", "missing.mp4")]


def _places(content: bytes | bytearray, mark: bytes) -> list[int]:
    found, place = [], content.find(mark)
    while place >= 0:
        found.append(place)
        place = content.find(mark, place + 1)
    assert found
    return found
