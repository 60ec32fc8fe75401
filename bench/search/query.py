"""Queries of a search: the name of something in the index, a file of codes, a feature file, or a video."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.base.text import closest, one_line
from bench.data.folder import only_key, open_features
from bench.data.layout import FEATURES
from bench.encoding.code_file import Origin, read_code_file, read_description
from bench.encoding.encode_file import of_videos
from bench.encoding.encoder import Encoder, encoder_digest, read_encoder
from bench.metrics.codes import PackedCodes, pack_codes
from bench.registry import Registry
from bench.search.index import Index
from bench.video import can_decode, require_decoder


@dataclass(frozen=True)
class Queries:
    """Codes to look up."""

    names: tuple[str, ...]
    codes: PackedCodes
    labels: tuple[str, ...]
    """The class of each; empty where none is known."""
    videos: tuple[Path | None, ...]
    """Where the video of each was, if anything says so."""
    own: int | None = None
    """The number of the query in the index, if it is there; it is left out of what is found."""

    @classmethod
    def of(cls, codes: PackedCodes, path: Path, origin: Origin) -> Self:
        """The queries whose codes come from a file."""
        count = len(codes)
        if origin.ids is not None:
            names: Sequence[str] = origin.ids
        else:
            names = [path.name] if count == 1 else [f"{path.name}[{number}]" for number in range(count)]
        root = root_of(origin.extraction)
        videos = [None if root is None else root / name for name in names]
        return cls(tuple(names), codes, tuple(origin.labels or [""] * count), tuple(videos))


def read_queries(query: str, index: Index, registry: Registry, encoder: Path | None = None) -> Queries:
    """The codes that `query` means; features are encoded by `encoder` or, not given, by the one that the index names.

    Of a video, features are extracted as those were that the index was made of. Raises InputError if it is neither in
    the index nor a file that can be used.
    """
    own = index.number_of(query)
    if own is not None:
        root = root_of(index.description.extraction)
        video = None if root is None else root / query
        return Queries((query,), index.code(own), (index.label_of(own),), (video,), own)
    path = Path(query)
    if path.is_dir():
        raise InputError(f"{one_line(query)}: is a folder; name one of its files")
    if not path.is_file():
        near = closest(query, index.description.ids or [])
        raise InputError(f"{one_line(query)}: neither a file nor in {index.folder}: {near}")
    if _holds_codes(path):
        found = read_code_file(path)
        return Queries.of(found.codes, path, found.description or Origin())
    used = _encoder(index, registry, encoder)
    if path.suffix in FEATURES:
        features = open_features(path, only_key(path), fix="name a file with one array of features")
        codes = pack_codes(used.encode(features))
        return Queries.of(codes, path, Origin.model_validate(of_videos(path, len(codes))))
    return Queries((path.name,), pack_codes(used.encode(_features_of(path, index)[None])), ("",), (path,))


def root_of(extraction: str | None) -> Path | None:
    """The folder that the names of extracted videos refer to; None if nothing says so any more."""
    if extraction is None or not can_decode():
        return None
    from bench.video.manifest import read_settings  # noqa: PLC0415  needs PyAV

    try:
        root = read_settings(Path(extraction)).root
    except InputError:  # the features were removed or moved: videos can be searched, but not shown
        return None
    return None if root is None else Path(root)


def _features_of(video: Path, index: Index) -> NDArray[np.float32]:
    """The features (T, D) of a video file."""
    folder = index.description.extraction
    if folder is None:
        raise InputError(
            f"{index.folder}: does not say how features are made of a video; give a feature file, or index codes of "
            "features that bench extract has written"
        )
    require_decoder()
    from bench.video.extractor import same_extractor  # noqa: PLC0415  needs PyAV
    from bench.video.manifest import read_settings  # noqa: PLC0415

    return same_extractor(read_settings(Path(folder)), torch.device("cpu")).features_of(video)


def _holds_codes(path: Path) -> bool:
    if path.suffix != ".npy":
        return False
    if read_description(path) is not None:
        return True
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: is no .npy file ({one_line(str(error))}); write it again") from error
    return bool(array.ndim == 2 and array.dtype.kind in "iub")


def _encoder(index: Index, registry: Registry, given: Path | None) -> Encoder:
    """The encoder of the index's codes, from the folder given or the one that it remembers."""
    used = index.description.encoder
    if given is None and used is None:
        raise InputError(f"{index.folder}: does not say which encoder its codes come from; name it with --encoder")
    folder = given or Path(used.folder if used else "")
    fix = "name the folder where it is now with --encoder"
    if given is None and not folder.is_dir():
        raise InputError(f"{folder}: the encoder of {index.folder} is no longer there; {fix}")
    encoder = read_encoder(folder, registry)
    if used is not None and encoder_digest(folder) != used.digest:
        raise InputError(f"{folder}: is not the encoder that the codes of {index.folder} come from; {fix}")
    return encoder
