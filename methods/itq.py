"""ITQ: principal components, rotated to minimise the loss of taking signs (Gong and Lazebnik, CVPR 2011)."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.method import Parameters

from .pcah import Pcah, principal_directions


class ItqParameters(Parameters):
    iterations: int = Field(50, ge=0)


class Itq(Pcah):
    """PCAH followed by an orthogonal rotation R that minimises ‖sign(VR) − VR‖, found by alternation."""

    name = "itq"
    title = "ITQ"
    paper = "Gong and Lazebnik, Iterative Quantization: A Procrustean Approach to Learning Binary Codes, CVPR 2011"
    Parameters: ClassVar = ItqParameters
    parameters: ItqParameters

    def directions(self, centred: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float64]:
        components = principal_directions(centred, self.bits)
        projected = centred.astype(np.float64) @ components
        rotation, _ = np.linalg.qr(random.standard_normal((self.bits, self.bits)))
        for _ in range(self.parameters.iterations):
            codes = np.where(projected @ rotation >= 0, 1.0, -1.0)
            # Orthogonal Procrustes: the rotation that takes the projections nearest to their codes.
            left, _, right = np.linalg.svd(codes.T @ projected)
            rotation = right.T @ left.T
        return np.asarray(components @ rotation)
