"""References against faiss's own searches, to which they hand centres, rotations and projections."""

from typing import Any

import faiss
import numpy as np
import pytest
import torch
from bench.methods.quantisers import Quantised, RotatedQuantised, SignVectors
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

import bench
from bench.base.errors import InputError

random = np.random.default_rng(0)
# Correlated features, as networks give them; 17 dimensions fill no number of equal parts.
MIXED = random.standard_normal((17, 17)) * np.geomspace(3, 0.1, 17)
TRAIN, QUERIES, GALLERY = (
    (random.standard_normal((videos, 1, 17)) @ MIXED + 1).astype(np.float32) for videos in (300, 20, 90)
)


def unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(features[:, 0] / np.linalg.norm(features[:, 0], axis=1, keepdims=True))


def similarities(method: str, bits: int, **parameters: Any) -> tuple[bench.Encoder, NDArray[np.float32]]:
    """The encoder fitted on TRAIN, and its similarities of QUERIES (rows) to GALLERY."""
    encoder = bench.fit(method, TRAIN, bits=bits, **parameters)
    return encoder, encoder.vectors(QUERIES, as_queries=True) @ encoder.vectors(GALLERY, as_queries=False).T


def searched(index: faiss.Index, queries: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """faiss's squared distances of queries (rows) to all `count` items, in the order of the gallery."""
    distances, items = index.search(np.ascontiguousarray(queries), count)
    return np.asarray(np.take_along_axis(distances, np.argsort(items, axis=1), axis=1))


def test_float_is_the_cosine() -> None:
    _, found = similarities("float", 16)
    np.testing.assert_allclose(found, unit(QUERIES) @ unit(GALLERY).T, atol=1e-6)
    frames = np.stack([QUERIES[:, 0], 3 * QUERIES[:, 0]], axis=1)  # their mean is twice the first
    vectors = bench.fit("float", np.repeat(TRAIN, 2, axis=1), bits=16).vectors(frames, as_queries=True)
    np.testing.assert_allclose(vectors, unit(QUERIES), atol=1e-6)


@pytest.mark.parametrize(("method", "bits", "each"), [("pq", 16, 8), ("pq", 24, 4), ("opq", 16, 8), ("opq", 24, 4)])
def test_product_quantisation_is_that_of_faiss(method: str, bits: int, each: int) -> None:
    encoder, found = similarities(method, bits, bits_each=each)
    module = encoder.module
    assert isinstance(module, Quantised)
    parts, _, width = module.centres.shape
    assert parts * each == bits
    queries, gallery = (np.pad(unit(part), ((0, 0), (0, parts * width - 17))) for part in (QUERIES, GALLERY))
    if isinstance(module, RotatedQuantised):
        rotation = module.rotation.numpy()
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(17), atol=1e-5)
        queries, gallery = unit(QUERIES) @ rotation, unit(GALLERY) @ rotation
    index = faiss.IndexPQ(parts * width, parts, each)
    faiss.copy_array_to_vector(module.centres.numpy().ravel(), index.pq.centroids)
    index.is_trained = True
    index.add(np.ascontiguousarray(gallery))
    assert index.sa_code_size() * 8 == bits
    np.testing.assert_allclose(np.square(queries).sum(axis=1)[:, None] - found, searched(index, queries, 90), atol=1e-5)


def test_rabitq_estimates_the_distances_of_faiss() -> None:
    encoder, found = similarities("rabitq", 72)
    module = encoder.module
    assert isinstance(module, SignVectors)
    queries, gallery = (module.projected(torch.from_numpy(part)).detach().numpy() for part in (QUERIES, GALLERY))
    index = faiss.IndexRaBitQ(8, faiss.METRIC_L2)
    index.train(np.concatenate([gallery, -gallery]))  # around 0: our vectors are centred already
    index.qb = 0  # queries in float32
    index.add(gallery)
    assert index.sa_code_size() * 8 == 72
    estimates = np.square(queries).sum(axis=1)[:, None] - found
    # faiss puts estimates below 0 at 0.
    np.testing.assert_allclose(np.maximum(estimates, 0), searched(index, queries, 90), atol=1e-4)
    # More signs than dimensions: nothing is projected away.
    wide, _ = similarities("rabitq", 128)
    assert isinstance(wide.module, SignVectors)
    kept = wide.module.projection @ wide.module.projection.T
    np.testing.assert_allclose(kept, np.eye(17), atol=1e-5)


def error_of(encoder: bench.Encoder) -> float:
    """The mean squared distance of GALLERY to what is kept of it."""
    vectors = encoder.vectors(GALLERY, as_queries=True)[:, :-1]
    kept = encoder.vectors(GALLERY, as_queries=False)[:, :-1] / 2
    return float(np.square(vectors - kept).sum(axis=1).mean())


def test_the_rotation_of_opq_loses_less() -> None:
    assert error_of(bench.fit("opq", TRAIN, bits=32)) < 0.9 * error_of(bench.fit("pq", TRAIN, bits=32))


@pytest.mark.parametrize("method", ["pq", "opq", "rabitq"])
def test_the_same_to_the_bit_with_any_number_of_threads(method: str) -> None:
    features = random.standard_normal((700, 1, 64)).astype(np.float32)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(bench.fit(method, features, bits=72).vectors(features, as_queries=False))
    np.testing.assert_array_equal(found[0], found[1])


def test_few_training_videos_have_shorter_parts() -> None:
    assert bench.fit("pq", TRAIN[:255], bits=12).description.parameters == {"bits_each": 4}
    assert bench.fit("pq", TRAIN[:256], bits=16).description.parameters == {"bits_each": 8}


@pytest.mark.parametrize(
    ("method", "videos", "bits", "message"),
    [
        ("pq", 300, 18, "bits: pq has codes of 8 bits a part, not of 18; ask for a multiple of 8"),
        ("opq", 300, 20, "ask for a multiple of 8; or set opq.bits_each=4"),
        ("pq", 15, 16, "pq needs 16 training videos, one a centre, not 15; give more"),
        ("rabitq", 300, 71, "so 71 are too few; ask for 72 or more"),
    ],
)
def test_lengths_that_cannot_be_are_refused(method: str, videos: int, bits: int, message: str) -> None:
    with pytest.raises(InputError) as error:
        bench.fit(method, TRAIN[:videos], bits=bits)
    assert message in str(error.value)


def test_codes_and_vectors_are_not_confused() -> None:
    with pytest.raises(InputError, match="float is no hash and has no codes"):
        bench.fit("float", TRAIN, bits=8).encode(QUERIES)
    with pytest.raises(InputError, match="lsh is a hash and has no vectors"):
        bench.fit("lsh", TRAIN, bits=8).vectors(QUERIES, as_queries=True)
    lsh = bench.fit("lsh", TRAIN, bits=8)
    np.testing.assert_array_equal(np.where(lsh.relaxed(QUERIES) >= 0, 1, -1), lsh.encode(QUERIES))
