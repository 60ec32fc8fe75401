"""The dataset plug-in `moving-digits`."""

import functools
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bench.base.paths import cache_folder
from bench.data.dataset import Dataset, DatasetSource, Recommended, Split, Summary
from bench.data.features import ArrayFeatures

from . import storage
from .digits import SplitName
from .motion import draw_scenes
from .parameters import Parameters
from .storage import SplitArrays

# For a comparison in minutes on two cores: fewer channels than in the papers, and smaller batches with higher rates for
# the few steps that there are. BTH costs less a video and needs more steps: with as few as the mixers its 16 bits stay
# under LSH's. Tried on this dataset itself, so scores under these settings are no evidence of anything beyond it.
_MIXER = {"anchors": 100, "hidden": 64, "batch_size": 32, "epochs": 3, "learning_rate": 3e-3}
_BTH = {
    "anchors": 100,
    "hidden": 96,
    "batch_size": 16,
    "epochs": 5,
    "reconstruction_epochs": 2,
    "learning_rate": 4e-3,
    "learning_rate_decay": 0.5,
    "learning_rate_decay_epochs": 2,
}
_BERVAE = {
    "hidden": 96,
    "batch_size": 16,
    "epochs": 16,
    "pretrain_epochs": 2,
    "learning_rate": 4e-3,
    "learning_rate_decay": 0.5,
    "learning_rate_decay_epochs": 5,
}
_MASKED = {"hidden": 64, "decoder_hidden": 48, "batch_size": 64}
_CONMH = {**_MASKED, "depth": 2, "decoder_depth": 1, "epochs": 10, "learning_rate": 1e-3}
# The scan costs more than the rest of a small network.
_S5VH = {**_MASKED, "layers": 2, "drop_path": 0.1, "label_warm_up_epochs": 1, "epochs": 5, "learning_rate": 2e-3}
_RECURRENT = {"batch_size": 50, "epochs": 6, "largest_step": 6e-3}
RECOMMENDED: Recommended = MappingProxyType(
    {
        **dict.fromkeys(("mcmsh", "mlp-mixer", "mixer-lrd", "mixer-mrd", "mixer-srd"), _MIXER),
        "bth": _BTH,
        # Its bits are sums over all frames, which BTH's rate drives beyond the clip, where no gradient passes.
        "dkph": {**_BTH, "epochs": 12, "reconstruction_epochs": 4, "learning_rate": 1e-3},
        "bervae": _BERVAE,
        "conmh": _CONMH,
        "autossvh": {**_CONMH, "prototype_weight": 0.2},
        "s5vh": _S5VH,
        "wsch": {**_MASKED, "epochs": 4, "pretraining_epochs": 2, "learning_rate": 1e-3},
        # A step is as large as its limit allows.
        "ssth": {**_RECURRENT, "epochs": 16},
        "ssvh": _RECURRENT,
    }
)
CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class MovingDigits(DatasetSource):
    """Real handwritten digits, seen through synthetic motion, for trying and comparing methods in minutes.

    Each video shows for 25 frames of 22 x 22 pixels one of the 1,797 handwritten digits that come with scikit-learn
    (8 x 8 pixels). It drifts, bounces, swings, grows and shrinks before drifting clouds, in changing light and pixel
    noise. In 40 % of the videos a second digit passes through, or takes the first one's place about half way. Labels
    are the classes of the digits shown, one or two of ten. A frame is described by 256 non-negative numbers: how much
    of each patch of a dictionary it holds, in the mean over all places; the dictionary is learned from training frames
    without labels (Coates, Lee and Ng 2011). There are 2,000 training videos, 500 queries and 1,500 videos in the
    gallery. No digit image is in two of these splits, and no filled-in form either, hence most likely no handwriting.

    It is good for seeing that code is right and that a method learns, and for comparing methods on a task of known
    content that leaves room above and below, without a download. It is not natural video: there is one kind of object,
    features are those of a single layer, the order of frames hardly matters for the classes, and few images (776)
    are behind all training videos. Rankings of methods and parameter values found here need not hold on real video.

    Measured from queries to gallery, where 18 % of the pairs share a label, as mAP@20 with AP divided by 20:

    - a random order: 0.06;
    - signs of the 16 leading principal components of the mean feature over the frames: 0.38;
    - the mean feature over the frames, exactly: 0.56 by Euclidean distance, 0.65 by cosine;
    - scores of a linear classifier on the mean feature, trained with the labels (ridge regression): 0.92.

    With seed 1 these are 0.07, 0.33, 0.54, 0.63 and 0.92. Moving the digits and the clouds by one pixel changes a
    frame's features by 0.19 of their distance to another video's frame; its pixels, by 0.39. Parameters were chosen for
    figures like these, without regard to any method.
    """

    name = "moving-digits"
    title = "Moving digits"
    recommended = RECOMMENDED

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.parameters = parameters or Parameters()

    def summary(self) -> Summary:
        """Sizes and fingerprint; makes nothing."""
        parameters = self.parameters
        return Summary(
            name=self.name,
            title=self.title,
            fingerprint=parameters.fingerprint(),
            train_videos=parameters.train_videos,
            query_videos=parameters.query_videos,
            gallery_videos=parameters.gallery_videos,
            frames=parameters.frames,
            dimensions=parameters.filters,
            classes=len(CLASS_NAMES),
            self_search=False,
        )

    def load(self) -> Dataset:
        """The data from the cache; if they are missing or damaged, they are generated in seconds and stored there."""
        arrays = self._arrays()
        return Dataset(
            summary=self.summary(),
            train=self._split("train", arrays["train"]),
            query=self._split("query", arrays["query"]),
            gallery=self._split("gallery", arrays["gallery"]),
            class_names=CLASS_NAMES,
            recommended=self.recommended,
        )

    def _split(self, split: SplitName, arrays: SplitArrays) -> Split:
        return Split(
            features=ArrayFeatures(arrays.features),
            labels=arrays.labels,
            frames=functools.partial(frames_of, self.parameters, split),
        )

    def _arrays(self) -> dict[SplitName, SplitArrays]:
        folder = cache_folder()
        path = folder / f"moving-digits-{self.parameters.fingerprint()[:16]}.npz" if folder else None
        kept = storage.read(path) if path else None
        if kept is not None:
            return kept
        from .generation import generate  # noqa: PLC0415  brings torch, which reading the cache does without

        made = generate(self.parameters)
        reason = _not_kept(path, made)
        if reason:
            warnings.warn(
                f"moving-digits could not be cached: {reason}; set VHBENCH_CACHE to a writable folder",
                stacklevel=2,
            )
        return made


def _not_kept(path: Path | None, made: Mapping[SplitName, SplitArrays]) -> str | None:
    """Store the generated data; the reason if that fails."""
    if path is None:
        return "no home folder is known"
    try:
        storage.write(path, made)
    except OSError as error:
        return str(error)
    return None


def frames_of(parameters: Parameters, split: SplitName, videos: Sequence[int]) -> NDArray[np.uint8]:
    """The frames of these videos of a split, (n, T, H, W): rendered anew, and the very ones that were described."""
    from .rendering import render  # noqa: PLC0415  brings torch, which most users of the data never need for frames

    scenes = draw_scenes(parameters, split)
    indices = np.asarray(videos, dtype=np.int64)
    if indices.size and not -len(scenes) <= indices.min() <= indices.max() < len(scenes):
        raise IndexError(f"video index out of range: there are {len(scenes)} videos")
    return render(parameters, split, scenes, indices % len(scenes))
