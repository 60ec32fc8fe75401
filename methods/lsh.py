"""LSH: random hyperplanes through the training mean (Charikar, STOC 2002)."""

import numpy as np
from numpy.typing import NDArray

from bench.method import ShallowMethod


class Lsh(ShallowMethod):
    """The baseline that every learned code must beat: only the mean is learned."""

    name = "lsh"
    title = "LSH"
    paper = "Charikar, Similarity Estimation Techniques from Rounding Algorithms, STOC 2002"

    def directions(self, centred: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float64]:
        return random.standard_normal((centred.shape[1], self.bits))
