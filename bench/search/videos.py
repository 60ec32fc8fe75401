"""An index of a folder of videos, made in one go: features, an encoder, codes and the index, all in one folder.

Each part stays once it is whole, so that the same call goes on after it was interrupted.
"""

import os
from collections.abc import Callable
from pathlib import Path

import torch

from bench.base.errors import InputError
from bench.base.processes import usable_cores
from bench.base.progress import Progress
from bench.data.dataset import Dataset
from bench.data.folder import FolderSource
from bench.encoding.code_file import read_code_file
from bench.encoding.encode_file import encode_file
from bench.encoding.encoder import Encoder
from bench.encoding.fitting import fit
from bench.registry import load_registry
from bench.search.index import DESCRIPTION, Index, open_index, write
from bench.video.backbones import EMBEDDED
from bench.video.extract import extract
from bench.video.extractor import extractor
from bench.video.manifest import MANIFEST, problems, read_manifest, read_settings
from bench.video.sources import Collection, as_text

FEATURES, ENCODER, CODES = "features", "encoder", "codes.npy"
"""The parts beside the index."""
FRAMES, BITS = 8, 64
LEARNED, UNLEARNED = "itq", "lsh"
"""The method, and the one for videos that are too few, or too much alike, to learn so many bits from."""


def index_videos(
    videos: Collection, out: Path, device: torch.device, progress: Progress, say: Callable[[str], None]
) -> Index:
    """The index of these videos in the folder `out`, made as far as it is not there; `say` gets lines on how.

    Videos that cannot be used are left out. Raises InputError if `out` holds something else, or none can be used.
    """
    features = out / FEATURES
    unfinished = features.with_name(f"{FEATURES}.unfinished")
    if out.exists() and not (features.is_dir() or unfinished.is_dir()) and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: holds no index of videos, but something else; name a new folder")
    if features.is_dir():
        _compare(videos, out, features, say)
        if os.path.lexists(out / DESCRIPTION):
            return open_index(out)
    else:
        labels = f"of {len(videos.classes)} classes" if videos.classes else "without labels"
        say(f"{out}: indexing {len(videos.videos):,} videos {labels}, by {FRAMES} frames of each and {EMBEDDED}")
        out.mkdir(parents=True, exist_ok=True)
        rows = extract(videos, extractor(EMBEDDED, None, FRAMES, device), features, usable_cores(), progress)
        for line in problems(rows):
            say(f"{features}: {line}")
    table = features / "train_feats.h5"
    if not table.is_file():
        raise InputError(f"{out}: none of the videos can be used; {features / MANIFEST} has the reasons")
    encoder = out / ENCODER
    if not encoder.is_dir():
        _fitted(FolderSource(features).load(), lambda line: say(f"{out}: {line}")).save(encoder)
    encode_file(encoder, table, out / CODES, load_registry([]), progress=progress)
    return write(read_code_file(out / CODES), out)


def _fitted(data: Dataset, say: Callable[[str], None]) -> Encoder:
    try:
        return fit(LEARNED, data, BITS)
    except InputError:
        say(f"codes by {UNLEARNED}: these videos are too few, or too much alike, for {LEARNED} to learn {BITS} bits")
        return fit(UNLEARNED, data, BITS)


def _compare(videos: Collection, out: Path, features: Path, say: Callable[[str], None]) -> None:
    """Say what changed since the features were extracted. Raises InputError if they are those of another folder."""
    root = read_settings(features).root
    if root != as_text(videos.root.resolve()):
        raise InputError(
            f"{out}: is made of the videos in {root}; make another with bench index {videos.root} --out DIR"
        )
    known = {row.path for row in read_manifest(features) if row.state != "left out"}
    found = {video.name for video in videos.videos}
    if known != found:
        say(
            f"{out}: {len(found - known):,} videos are new and {len(known - found):,} gone since then; remove it "
            "to have it made again"
        )
