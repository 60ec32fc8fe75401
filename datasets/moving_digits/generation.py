"""All of the dataset from its parameters."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from bench.base.process_state import own_process_state

from .description import Dictionary, describe, learn_dictionary
from .digits import SPLITS, SplitName, load_digits
from .motion import draw_scenes, multi_hot
from .parameters import Parameters
from .rendering import VIDEOS_AT_ONCE, render
from .storage import SplitArrays

DICTIONARY_VIDEOS = 600
"""The number of training videos, from the first on, that the dictionary's patches come from; videos are in no order."""


def generate(parameters: Parameters) -> dict[SplitName, SplitArrays]:
    """Makes the three splits; the dictionary is learned from training frames.

    The result does not depend on the number of threads, which is torch's.
    """
    with own_process_state(), _threads_by_videos() as executor:
        dictionary = learn_dictionary(parameters, _dictionary_frames(parameters, executor))
        return {split: make_split(parameters, split, dictionary, executor) for split in SPLITS}


def make_split(parameters: Parameters, split: SplitName, dictionary: Dictionary, executor: Executor) -> SplitArrays:
    """Renders, describes and labels all videos of a split."""
    scenes = draw_scenes(parameters, split)
    _, classes = load_digits()

    def features(videos: range) -> NDArray[np.float32]:
        return describe(parameters, dictionary, render(parameters, split, scenes, videos))

    return SplitArrays(
        features=np.concatenate(list(executor.map(features, _batches(len(scenes))))),
        labels=multi_hot(scenes, classes),
    )


def _dictionary_frames(parameters: Parameters, executor: Executor) -> NDArray[np.uint8]:
    scenes = draw_scenes(parameters, "train")

    def frames(videos: range) -> NDArray[np.uint8]:
        return render(parameters, "train", scenes, videos)

    return np.concatenate(list(executor.map(frames, _batches(min(DICTIONARY_VIDEOS, len(scenes))))))


def _batches(count: int) -> list[range]:
    return [range(start, min(start + VIDEOS_AT_ONCE, count)) for start in range(0, count, VIDEOS_AT_ONCE)]


@contextmanager
def _threads_by_videos() -> Iterator[Executor]:
    """As many threads as torch has, each for videos of its own, instead of all of them in each small operation.

    That spares the threads from waiting for each other several times a millisecond, which on a busy machine makes this
    many times slower, and makes the order of every sum the same on any number of threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as executor:
            yield executor
    finally:
        torch.set_num_threads(threads)
