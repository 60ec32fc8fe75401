"""Independent random streams that need no order of drawing: Philox counts, so any stream can be started at once.

J. K. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
"""

import numpy as np

from .digits import SplitName

SPLIT_KEYS: dict[SplitName, int] = {"train": 0, "query": 1, "gallery": 2}
DICTIONARY_KEY = 3


def scene_stream(seed: int, split: SplitName) -> np.random.Generator:
    """The stream that all scenes of a split are drawn from."""
    return np.random.Generator(np.random.Philox(key=[seed, SPLIT_KEYS[split]]))


def noise_stream(seed: int, split: SplitName, video: int) -> np.random.Generator:
    """The stream of one video's pixel noise."""
    # The last of the counter's four words is 0 in the scenes' stream and never reached by counting up.
    return np.random.Generator(np.random.Philox(key=[seed, SPLIT_KEYS[split]], counter=[0, 0, 0, 1 + video]))


def dictionary_stream(seed: int) -> np.random.Generator:
    """The stream that chooses the patches for the dictionary."""
    return np.random.Generator(np.random.Philox(key=[seed, DICTIONARY_KEY]))
