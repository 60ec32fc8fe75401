"""Codes made from the labels: the upper bound that a table can show."""

import numpy as np
import torch
from torch import nn

from bench.context import FitContext
from bench.method import Features, LinearHash, Method


class Oracle(Method):
    """Every class has a random word of ±1; a code is the sign of the sum of a video's words.

    The one method that sees the labels. It shows what K bits that know the labels reach; no strict bound, since words
    of ±1 are not the best possible codes.
    """

    name = "oracle"
    title = "oracle (labels)"
    bound = True
    uses_labels = True

    def build(self, frames: int, dimensions: int) -> nn.Module:
        return LinearHash(torch.zeros(dimensions), torch.zeros(dimensions, self.bits))

    def fit(self, features: Features, context: FitContext) -> nn.Module:
        classes = features.shape[2]
        random = context.random("words")
        # Slightly uneven lengths, so that the words of two labels never cancel.
        words = random.choice([-1.0, 1.0], (classes, self.bits)) * random.uniform(0.9, 1.1, (classes, self.bits))
        return LinearHash(torch.zeros(classes), torch.from_numpy(words.astype(np.float32)))
