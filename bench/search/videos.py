"""An index of a folder of videos, made in one go: features, an encoder, codes and the index, all in one folder.

Each part stays once it is whole, so that the same call goes on after it was interrupted.
"""

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
from bench.video.feature_folder import Extracted
from bench.video.manifest import MANIFEST, SETTINGS, problems
from bench.video.sources import Collection, as_text

FEATURES, ENCODER, CODES = "features", "encoder", "codes.npy"
"""The parts beside the index."""
FRAMES, BITS = 8, 64
LEARNED, UNLEARNED = "itq", "lsh"
"""The method, and the one for videos that are too few, or too much alike, to learn so many bits from."""


def index_videos(
    videos: Collection, out: Path, device: torch.device, progress: Progress, say: Callable[[str], None]
) -> Index:
    """The index of these videos in the folder `out`, made or updated as far as needed; `say` gets lines on how.

    Videos that cannot be used are left out. An encoder that is there stays, and only videos that are new or changed are
    extracted. Raises InputError if `out` holds something else, or no video can be used.
    """
    features = out / FEATURES
    update = features.is_dir()
    if update:
        news = _changes(videos, out, features)
        if not news and _is_of(features, out / DESCRIPTION):
            return open_index(out)
    else:
        unfinished = features.with_name(f"{FEATURES}.unfinished")
        if out.exists() and not unfinished.is_dir() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"{out}: holds no index of videos, but something else; name a new folder")
        out.mkdir(parents=True, exist_ok=True)
        labels = f"of {len(videos.classes)} classes" if videos.classes else "without labels"
        news = f"indexing {len(videos.videos):,} videos {labels}, by {FRAMES} frames of each and {EMBEDDED}"
    if news:
        say(f"{out}: {news}")
        using = extractor(EMBEDDED, None, FRAMES, device)
        rows = extract(videos, using, features, usable_cores(), progress, update=update)
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


def _changes(videos: Collection, out: Path, features: Path) -> str:
    """What to say of changes since the features were extracted. Raises InputError if they are of another folder."""
    earlier = Extracted.read(features)
    root = earlier.settings.root
    if root != as_text(videos.root.resolve()):
        raise InputError(
            f"{out}: is made of the videos in {root}; make another with bench index {videos.root} --out DIR"
        )
    unknown = {video.name for video in videos.videos if not earlier.knows(video)}
    new, changed = unknown - earlier.rows.keys(), unknown & earlier.rows.keys()
    gone = earlier.rows.keys() - {video.name for video in videos.videos}
    if not (new or changed or gone):
        return ""
    return (
        f"new videos: {len(new):,}, changed: {len(changed):,}, gone: {len(gone):,}; updating the index, with the "
        "encoder that it has (remove the folder to learn another)"
    )


def _is_of(features: Path, index: Path) -> bool:
    """Whether an index was written after the features: an interrupted call leaves one of earlier features."""
    return index.exists() and index.stat().st_mtime_ns > (features / SETTINGS).stat().st_mtime_ns
