"""Scores of relaxed outputs, the real numbers whose signs are the codes: they show the cost of taking signs."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Dataset, Split
from bench.encoding.encoder import Encoder
from bench.encoding.fitting import inputs
from bench.learning.method import Method
from bench.store.codes_file import StoredVectors
from bench.store.evaluation import evaluate_codes, relevance_of


def relaxed_scores(
    encoder: Encoder, method: type[Method], data: Dataset, protocols: Iterable[str]
) -> dict[str, dict[int, float]]:
    """mAP@k, or recall@k without labels, by protocol and k, if the gallery is ranked by the cosine of relaxed outputs.

    Raises InputError or OutputError as `Encoder.relaxed` does.
    """

    def directions(split: Split) -> NDArray[np.float32]:
        outputs = encoder.relaxed(inputs(method, split))
        lengths = np.linalg.norm(outputs.astype(np.float64), axis=1, keepdims=True)
        return (outputs / np.where(lengths > 0, lengths, 1)).astype(np.float32)

    self_search = data.gallery is data.query
    queries = directions(data.query)
    gallery = queries if self_search else directions(data.gallery)
    vectors = StoredVectors(encoder.description.bits, queries, gallery, *relevance_of(data), self_search)
    return {name: scores.compared for name, scores in evaluate_codes(vectors, protocols).items()}
