"""The numbers that determine the dataset: same parameters, same data."""

import dataclasses
import hashlib
import json

from bench.base.errors import InputError

GENERATOR_REVISION = 1
"""Raised with every change of the generated data, so that old caches and results expire."""


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Everything that the generated data depends on, beside the generator's revision. The defaults are the dataset."""

    train_videos: int = 2000
    query_videos: int = 500
    gallery_videos: int = 1500
    frames: int = 25
    """Frames of each video."""
    frame_size: int = 22
    """Height and width of a frame, in pixels."""
    second_digit_share: float = 0.4
    """Share of the videos in which a second digit passes or follows, half of them each."""
    clutter: float = 0.5
    """Largest brightness of the clouds behind the digits; 1 is white."""
    noise: float = 0.08
    """Standard deviation of the pixel noise; 1 is white."""
    filters: int = 256
    """Number of patches in the dictionary, which is the number D of features that describe a frame."""
    patch_size: int = 6
    """Height and width of a patch, in pixels."""
    patch_samples: int = 40_000
    """Number of training patches that whitening and dictionary are learned from."""
    threshold: float = 2.0
    """Threshold of a whitened patch's product with an atom; such products have variance of about 1."""
    seed: int = 0

    def __post_init__(self) -> None:
        at_least = {
            "train_videos": 1,
            "query_videos": 1,
            "gallery_videos": 1,
            "frames": 1,
            "frame_size": 8,
            "filters": 1,
            "patch_size": 2,
            "patch_samples": self.filters,
            "clutter": 0,
            "noise": 0,
            "seed": 0,
        }
        for name, least in at_least.items():
            if not getattr(self, name) >= least:
                raise InputError(f"moving-digits: {name} must be at least {least}, not {getattr(self, name)}")
        if self.patch_size > self.frame_size - 2:
            raise InputError(f"moving-digits: patch_size must be at most frame_size - 2 = {self.frame_size - 2}")
        if not 0 <= self.second_digit_share <= 1:
            raise InputError(f"moving-digits: second_digit_share must be 0 to 1, not {self.second_digit_share}")

    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 of the parameters and the generator's revision."""
        content = {"generator": "moving-digits", "revision": GENERATOR_REVISION, **dataclasses.asdict(self)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
