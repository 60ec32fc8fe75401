"""Codes for anybody's features, from file to file, of any size."""

import hashlib
import json
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import numpy as np

from bench.context import Progress, SilentProgress
from bench.data.features import Features
from bench.data.opening import open_features
from bench.encoder import DESCRIPTION, WEIGHTS, Encoder, read_encoder
from bench.errors import InputError
from bench.inference.backends import BACKENDS, CHUNK, PRECISIONS, check_choice
from bench.inference.stream import OutputError, block_size
from bench.registry import Registry

COMPARED = 4 * CHUNK


@dataclass(frozen=True)
class Encoded:
    """What was written: N videos of K bits."""

    videos: int
    bits: int
    resumed: int
    """Videos whose codes were there from an earlier call that did not end."""
    flipped: float | None
    """Share of the bits of the first videos (256 at most) that float32 gives otherwise; None if it is the precision."""


def encode_file(
    encoder: Path,
    features: Path,
    out: Path,
    registry: Registry,
    backend: str = "eager",
    precision: str = "float32",
    progress: Progress | None = None,
) -> Encoded:
    """Encode the features in a file and write the codes to `out` (.npy), whole or not at all.

    Memory does not grow with the file. Codes are collected in a file beside `out`, named by all that they depend on;
    the same call goes on from there. Raises InputError for wrong names and files before work starts, and for the first
    video with NaN or infinite features.
    """
    if out.suffix != ".npy":
        raise InputError(f"--out {out}: codes are written as .npy; name such a file")
    if out.is_dir() or not out.resolve().parent.is_dir():
        raise InputError(f"--out {out}: is a folder or lies in none; name a file in a folder that is there")
    check_choice("backend", backend, BACKENDS)
    check_choice("precision", precision, PRECISIONS)
    loaded = read_encoder(encoder, registry)
    videos = open_features(features)
    try:
        loaded.require_shape(videos)
    except InputError as error:
        raise InputError(f"{features}: {error}") from error
    unfinished = out.with_name(f".{out.name}.{_identity(encoder, features, videos, backend, precision)}.part")
    # Fails before work starts where the backend cannot run.
    loaded.forward(backend, precision)
    try:
        resumed = _write(loaded, videos, unfinished, backend, precision, progress or SilentProgress())
        unfinished.replace(out)
        # What was begun for this file with other features or another encoder is of no more use.
        for left in out.parent.glob(f".{escape(out.name)}.*.part"):
            left.unlink()
    except InputError as error:
        unfinished.unlink(missing_ok=True)
        if str(features) in str(error):
            raise
        # Of values it was said which video is wrong; only here it is known of which file.
        raise InputError(f"{features}: {error}") from error
    except OutputError as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(f"{encoder}: {error}; its weights are damaged, or not made for these features") from error
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror}); name another file") from error
    return Encoded(len(videos), loaded.description.bits, resumed, _flipped(loaded, videos, out, precision))


def _identity(encoder: Path, features: Path, videos: Features, backend: str, precision: str) -> str:
    """Names what codes depend on: the encoder's contents; the features' path, size, time of change and shape."""
    digest = hashlib.blake2b(digest_size=8)
    for name in (DESCRIPTION, WEIGHTS):
        digest.update((encoder / name).read_bytes())
    state = features.stat()
    place = [str(features.resolve()), state.st_size, state.st_mtime_ns, videos.shape, backend, precision]
    digest.update(json.dumps(place).encode())
    return digest.hexdigest()


def _write(encoder: Encoder, videos: Features, path: Path, backend: str, precision: str, progress: Progress) -> int:
    """Complete the codes in `path`; how many videos were there already."""
    bits = encoder.description.bits
    path.touch()
    with path.open("r+b") as file:
        header = {"descr": "|i1", "fortran_order": False, "shape": (len(videos), bits)}
        np.lib.format.write_array_header_1_0(file, header)
        begin = file.tell()
        # Codes are appended, so the size says how many there are; chunks are encoded whole.
        rows = max(0, path.stat().st_size - begin) // bits
        done = rows // CHUNK * CHUNK if rows < len(videos) else len(videos)
        steps = -(-(len(videos) - done) // block_size(videos.shape))
        with progress.task("encode", steps) as task:
            for start, codes in encoder.encode_blocks(videos, backend, precision, first=done):
                file.seek(begin + start * bits)
                file.write(codes.tobytes())
                file.flush()
                task.advance(f"{start + len(codes)} of {len(videos)} videos")
    return done


def _flipped(encoder: Encoder, videos: Features, out: Path, precision: str) -> float | None:
    if precision == "float32" or not len(videos):
        return None
    compared = encoder.encode(videos[:COMPARED])
    return float(np.mean(compared != np.load(out, mmap_mode="r")[:COMPARED]))
