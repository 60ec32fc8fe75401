"""The extractor of features from a video: the sampling of its frames, and the backbone."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.video.backbones import Backbone, load_backbone
from bench.video.decoding import Sampling, decoded
from bench.video.manifest import Settings


@dataclass(frozen=True)
class Extractor:
    """What makes features (T, D) of a video."""

    backbone: Backbone
    settings: Settings

    @property
    def sampling(self) -> Sampling:
        return self.settings.sampling

    def features_of(self, path: Path) -> NDArray[np.float32]:
        """The features of one video file, decoded in a process of its own. Raises InputError if it cannot be used."""
        (outcome,) = decoded([path], self.sampling, 1)
        if outcome.pixels is None:
            raise InputError(f"{path}: {outcome.facts.reason}")
        return self.backbone.features(outcome.pixels)


def extractor(backbone: str, weights: Path | None, frames: int, device: torch.device) -> Extractor:
    """The extractor with this backbone and this number of frames a video. Raises InputError as `load_backbone` does."""
    loaded = load_backbone(backbone, weights, device)
    settings = Settings(
        backbone=loaded.name,
        dimensions=loaded.dimensions,
        weights=loaded.weights,
        weights_file=str(weights.resolve()) if weights else None,
        sampling=Sampling(frames=frames, preprocessing=loaded.preprocessing),
        versions={
            "av": version("av"),
            "ffmpeg": av.ffmpeg_version_info,
            "pillow": version("pillow"),
            "torch": version("torch"),
            loaded.library: version(loaded.library),
        },
    )
    return Extractor(loaded, settings)


def same_extractor(settings: Settings, device: torch.device) -> Extractor:
    """The extractor that made some features. Raises InputError if its weights are not the same any more."""
    made = extractor(
        settings.backbone,
        Path(settings.weights_file) if settings.weights_file else None,
        settings.sampling.frames,
        device,
    )
    if made.settings.weights != settings.weights:
        raise InputError(
            f"backbone {settings.backbone}: its weights are not those that made the features; extract them again"
        )
    return made
