"""Encoding of feature files of any size into code files."""

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from bench.base.atomic import new_file, replace
from bench.base.errors import InputError
from bench.base.files import UnreadableError, require_file
from bench.base.progress import Progress, SilentProgress
from bench.data.features import Features
from bench.data.fingerprints import content_hash, likeness
from bench.data.folder import only_key, open_features
from bench.encoding.backends import BACKENDS, CHUNK, PRECISIONS, OutputError, block_size, check_choice
from bench.encoding.choice import faster_backend
from bench.encoding.code_file import (
    BitOrder,
    CodesDescription,
    UsedEncoder,
    description_file,
    read_description,
    sha256_of,
    write_description,
    write_packed,
)
from bench.encoding.encoder import Encoder, encoder_digest, read_encoder
from bench.registry import Registry

COMPARED = 4 * CHUNK
AUTO = "auto"
MANY = 2048
"""Videos from which on it pays to find the faster backend, which takes as long as to encode hundreds."""
EXTRACTION = ("manifest.jsonl", "extract.json")
"""Files beside features that `bench extract` has written: a line for every video, and the settings."""


@dataclass(frozen=True)
class Encoded:
    """The written codes: N videos of K bits."""

    videos: int
    bits: int
    key: str
    """The name of the array with the features; unused for `.npy` files."""
    resumed: int
    """Videos whose codes were there from an interrupted call."""
    flipped: float | None
    """Share of the bits of the first videos (256 at most) that float32 gives otherwise; None if it is the precision."""


def encode_file(
    encoder: Path,
    features: Path,
    out: Path,
    registry: Registry,
    backend: str = AUTO,
    precision: str = "float32",
    progress: Progress | None = None,
    key: str | None = None,
    packed: BitOrder | None = None,
) -> Encoded:
    """Encode the features in a file and write the codes to `out` (.npy), and their description beside (`<out>.json`).

    Codes are signs, or bits packed in the order `packed`. `key` names the array in the file; not given, it is `feats`,
    or the only array that can be features. The backend `auto` is the faster one for a large file. Memory does not grow
    with the file. Codes are collected in a file beside `out`, named by all that they depend on; the same call goes on
    from there. Raises InputError for wrong names and
    files before work starts, also where `out` is anything else than earlier codes of as many bits; and for the first
    video with NaN or infinite features.
    """
    # Where a link leads, so that the link stays.
    target = out.resolve()
    if out.suffix != ".npy":
        raise InputError(f"--out {out}: codes are written as .npy; name such a file")
    if target.is_dir() or not target.parent.is_dir():
        raise InputError(f"--out {out}: is a folder, or its folder does not exist; name a file in an existing folder")
    check_choice("backend", backend, (AUTO, *BACKENDS))
    check_choice("precision", precision, PRECISIONS)
    loaded = read_encoder(encoder, registry)
    loaded.require_codes()
    require_file(features, "name a file with features")
    chosen = key or only_key(features)
    videos = open_features(features, chosen, fix="name the right one with --key")
    try:
        loaded.require_shape(videos)
    except InputError as error:
        raise InputError(f"{features}: {error}") from error
    _require_replaceable(out, encoder, features, loaded.description.bits)
    named = of_videos(features, len(videos))
    backend = _resolved(backend, precision, loaded, encoder, videos)
    identity = _identity(encoder, features, chosen, videos, backend, precision)
    unfinished = target.with_name(f".{target.name}.{identity}.part")
    # Fails before work starts where the backend cannot run.
    loaded.forward(backend, precision)
    try:
        resumed = _write(loaded, videos, unfinished, backend, precision, progress or SilentProgress())
        flipped = _flipped(loaded, videos, unfinished, precision)
        describe = partial(_describe, encoder, features, loaded.description.bits, named, len(videos), packed)
        # The description goes first: codes that nobody describes could not be read.
        if packed:
            with new_file(target) as written:
                write_packed(unfinished, written, packed)
                write_description(target, describe(written))
            unfinished.unlink()
        else:
            write_description(target, describe(unfinished))
            replace(unfinished, target)
        # Partial codes for this file of other features or encoders are of no more use.
        for left in target.parent.glob(f".{escape(target.name)}.{'[0-9a-f]' * len(identity)}.part"):
            left.unlink()
    except UnreadableError as error:
        raise InputError(f"{error}; the same command goes on from there") from error
    except InputError as error:
        unfinished.unlink(missing_ok=True)
        if str(features) in str(error):
            raise
        # The message names the video; add the file, which is only known here.
        raise InputError(f"{features}: {error}") from error
    except OutputError as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(f"{encoder}: {error}; its weights are damaged, or not made for these features") from error
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror}); name another file") from error
    return Encoded(len(videos), loaded.description.bits, chosen, resumed, flipped)


def _resolved(backend: str, precision: str, loaded: Encoder, encoder: Path, videos: Features) -> str:
    if backend != AUTO:
        return backend
    worth = len(videos) >= MANY and precision == "float32"
    return faster_backend(loaded, encoder_digest(encoder), videos[:CHUNK]) if worth else "eager"


def _require_replaceable(out: Path, encoder: Path, features: Path, bits: int) -> None:
    """InputError if codes written to `out` would replace anything else than codes of the same length."""
    if any(folder.samefile(encoder) for folder in out.resolve().parents):
        raise InputError(f"--out {out}: lies in the encoder's folder; name a file in another one")
    try:
        described = read_description(out)
    except InputError as error:
        raise InputError(
            f"--out {out}: {description_file(out).name} beside it describes no codes, and would be overwritten; "
            "name another file"
        ) from error
    if not out.exists() or (out.is_file() and not out.stat().st_size):
        return
    if out.samefile(features):
        raise InputError(f"--out {out}: is the file of the features, which would be lost; name another file")
    try:
        require_file(out)  # no pipe, which would be waited for
        codes = np.load(out, mmap_mode="r", allow_pickle=False)
        if described and described.format == "packed":
            ours = (codes.dtype, len(codes), described.bits) == (np.uint8, described.videos, bits)
        else:
            signs = codes.dtype == np.int8 and codes.ndim == 2 and codes.shape[1] == bits
            ours = signs and bool((abs(codes) == 1).all())
    except (OSError, ValueError, EOFError):
        ours = False
    if not ours:
        raise InputError(f"--out {out}: holds no codes of {bits} bits, and would be overwritten; name another file")


class _Extracted(BaseModel):
    """What a line of the manifest of an extraction says of a row of features."""

    path: str
    split: str | None = None
    row: int | None = None
    labels: tuple[str, ...] = ()


def of_videos(features: Path, count: int) -> dict[str, Any]:
    """Names, labels and extraction of features that `bench extract` has written; nothing for others."""
    manifest, settings = (features.resolve().parent / name for name in EXTRACTION)
    if not manifest.is_file() or not settings.is_file():
        return {}
    try:
        lines = [_Extracted.model_validate_json(line) for line in manifest.read_bytes().splitlines()]
    except (OSError, ValidationError) as error:
        raise InputError(f"{manifest}: is not as bench extract wrote it; extract the videos again") from error
    here = {line.row: line for line in lines if line.row is not None and f"{line.split}_feats.h5" == features.name}
    if sorted(here) != list(range(count)):
        raise InputError(f"{manifest}: does not list the {count:,} videos of {features.name}; extract them again")
    rows = [here[number] for number in range(count)]
    labels = ["; ".join(row.labels) for row in rows]
    return {
        "extraction": str(manifest.parent),
        "ids": [row.path for row in rows],
        "labels": labels if any(labels) else None,
    }


def _describe(
    encoder: Path, features: Path, bits: int, named: dict[str, Any], videos: int, packed: BitOrder | None, written: Path
) -> CodesDescription:
    return CodesDescription(
        **named,
        videos=videos,
        bits=bits,
        format="packed" if packed else "signs",
        bitorder=packed,
        padding=-bits % 8 if packed else 0,
        sha256=sha256_of(written),
        encoder=UsedEncoder(folder=str(encoder.resolve()), digest=encoder_digest(encoder)),
        features=content_hash([features]),
    )


def _identity(encoder: Path, features: Path, key: str, videos: Features, backend: str, precision: str) -> str:
    """A digest of all that codes depend on: the encoder's contents; the features' likeness and shape."""
    parts = [encoder_digest(encoder), likeness(features), key, videos.shape, backend, precision]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()


def _write(encoder: Encoder, videos: Features, path: Path, backend: str, precision: str, progress: Progress) -> int:
    """Complete the codes in `path`; return the number of videos that were there already."""
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
