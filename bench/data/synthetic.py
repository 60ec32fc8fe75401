"""Made-up features with classes to find: non-negative, sparse, smooth over time, as a network's last layers give them.

Before rectification a video is a sum of random vectors: attributes, something of its own, and a movement through random
key frames. A class is a set of attributes; how strongly a video shows each of them varies, and every video shows some
that have nothing to do with its class. So classes overlap, short codes hold part of what tells them apart, and no
projection has it all.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

ATTRIBUTES, ATTRIBUTES_A_CLASS, OTHERS_A_VIDEO = 64, 5, 3
# Standard deviations of one feature before rectification; an attribute's is drawn evenly from this range.
ATTRIBUTE, OWN, MOVEMENT = (0.2, 0.7), 0.6, 0.6
# Subtracted before negative numbers are set to zero, so that well over half of all values end as zero.
THRESHOLD = 0.4
KEY_FRAMES = 6
SECOND_CLASS_SHARE = 0.1
# Videos made at once: few enough for their frames to stay in the processor's cache, which is what makes this quick.
VIDEOS_AT_ONCE = 4


class Synthetic:
    """Videos of so many classes, frames, and features (dimensions) a frame; equal seeds give equal videos."""

    def __init__(self, seed: str, frames: int, dimensions: int, classes: int) -> None:
        self._seed, self._frames, self._classes = seed, frames, classes
        random = self._random("attributes")
        self._attributes = random.standard_normal((ATTRIBUTES, dimensions), dtype=np.float32)
        self._of_class = random.permuted(np.tile(np.arange(ATTRIBUTES), (classes, 1)), axis=1)[:, :ATTRIBUTES_A_CLASS]
        self._key_frames = np.unique(np.linspace(0, frames - 1, KEY_FRAMES).round().astype(int))

    def labels(self, stream: str, videos: int, *, several: bool) -> NDArray[np.uint8]:
        """(videos, C) multi-hot: classes as even as can be; if `several`, every tenth video has one more class."""
        random = self._random(stream, "labels")
        labels = np.zeros((videos, self._classes), dtype=np.uint8)
        labels[np.arange(videos), random.permutation(np.arange(videos) % self._classes)] = 1
        if several:
            more = random.random(videos) < SECOND_CLASS_SHARE
            labels[more, random.integers(self._classes, size=int(more.sum()))] = 1
        return labels

    def features(self, stream: str, labels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Videos with these labels, (n, T, D) float32, >= 0. Every stream gives others."""
        random = self._random(stream, "features")
        out = np.empty((len(labels), self._frames, self._attributes.shape[1]), dtype=np.float32)
        for start in range(0, len(labels), VIDEOS_AT_ONCE):
            part = slice(start, start + VIDEOS_AT_ONCE)
            self._fill(out[part], labels[part], random)
        return out

    def _fill(self, out: NDArray[np.float32], labels: NDArray[np.uint8], random: np.random.Generator) -> None:
        """Rectified straight lines between key frames, each of them the video's own vector and something new."""
        keys = random.standard_normal((len(self._key_frames), len(out), out.shape[2]), dtype=np.float32)
        keys *= np.float32(MOVEMENT)
        keys += self._still(labels, random)
        for number, frame in enumerate(self._key_frames):
            out[:, frame] = keys[number]
        for number, (frame, following) in enumerate(zip(self._key_frames, self._key_frames[1:], strict=False)):
            step = (keys[number + 1] - keys[number]) / np.float32(following - frame)
            for between in range(frame + 1, following):
                np.add(out[:, between - 1], step, out=out[:, between])
        np.maximum(out, 0, out=out)

    def _still(self, labels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.float32]:
        """What does not change over the frames, (n, D)."""
        videos, dimensions = len(labels), self._attributes.shape[1]
        still = random.standard_normal((videos, dimensions), dtype=np.float32)
        still *= np.float32(OWN)
        still -= np.float32(THRESHOLD)
        for video in range(videos):
            others = random.integers(ATTRIBUTES, size=OTHERS_A_VIDEO)
            shown = np.concatenate([*self._of_class[np.flatnonzero(labels[video])], others])
            strength = random.uniform(*ATTRIBUTE, size=len(shown)).astype(np.float32)
            # Added one by one: a matrix product may round differently on another machine.
            for number, attribute in enumerate(shown):
                still[video] += strength[number] * self._attributes[attribute]
        return still

    def _random(self, *stream: str) -> np.random.Generator:
        text = "/".join((self._seed, *stream))
        return np.random.Generator(np.random.SFC64(int.from_bytes(hashlib.blake2b(text.encode()).digest())))
