"""Recomputation of stored numbers: metrics from codes, codes from encoders, labels from datasets."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.data.dataset import Dataset, DatasetSource, Split
from bench.data.features import Features
from bench.encoding.backends import CHUNK, OutputError
from bench.encoding.encoder import Encoder, read_encoder
from bench.encoding.fitting import inputs
from bench.learning.method import Method
from bench.registry import Registry
from bench.store.codes_file import Stored, StoredVectors, read_codes, relevance_digest
from bench.store.evaluation import ABSENT, changes, evaluate_codes, recomputed, relevance_of, stored_metrics
from bench.store.registered import describe, known_dataset, registered_datasets
from bench.store.stored_run import CODES, ENCODER, StoredRun
from bench.store.verify import State

ROUNDING = 1e-3
"""An output this small, relative to the video's largest, may have another sign on another machine; and scores of
relaxed outputs may differ by so much."""

FEW = 0.1
"""The share of a vector's numbers that may have another value on another machine for that reason."""


@dataclass
class Recomputation:
    """A `Proof` for `bench.store.verify.verify`, with the datasets and encoders that it uses."""

    registry: Registry
    given: Mapping[str, DatasetSource] = field(default_factory=dict)
    """Datasets given by the user, by fingerprint; those in the registry are found by name."""
    reencoded: int = 0
    """Videos per run to encode again, drawn at random each time."""
    _loaded: dict[str, Dataset | None] = field(default_factory=dict)

    def __call__(self, run: StoredRun) -> Iterator[tuple[State, str]]:
        encode = bool(self.reencoded or run.record.relaxed)
        # What ships with the package is known without loading it.
        known = run.record.spec.dataset_fingerprint in registered_datasets()
        codes, data = read_codes(run.verified(CODES)), None if known and not encode else self._dataset(run)
        yield from self._labels(run, data)
        for line in changes(run, codes, recomputed(codes, stored_metrics(run))):
            yield "not as computed", line
        if encode:
            yield from self._encoded(run, codes, data)

    def _labels(self, run: StoredRun, data: Dataset | None) -> Iterator[tuple[State, str]]:
        expected = _relevance(run, data)
        if expected is None:
            yield "unproven", f"labels of {run.record.spec.dataset}: unknown here; give the dataset with --datasets"
        elif run.codes is not None and run.codes.labels != expected:
            yield "not as computed", f"digest of the labels: stored {run.codes.labels}, computed {expected}"

    def _encoded(self, run: StoredRun, codes: Stored, data: Dataset | None) -> Iterator[tuple[State, str]]:
        """Differences from the encoder's output, in codes and in scores of relaxed outputs."""
        what = "codes" if self.reencoded else "scores of relaxed outputs"
        if data is None:
            yield "unproven", f"{what}: {run.record.spec.dataset} not found; give it with --datasets or --data-root"
            return
        try:
            encoder = read_encoder(run.folder / ENCODER, self.registry)
            method = self.registry.method(run.record.spec.method)
        except InputError as error:
            yield "unproven", f"{what}: {error}"
            return
        try:
            yield from self._codes(encoder, method, codes, data)
            yield from _relaxed(run, encoder, method, data)
        except OutputError as error:
            yield "not as encoded", str(error)

    def _codes(
        self, encoder: Encoder, method: type[Method], codes: Stored, data: Dataset
    ) -> Iterator[tuple[State, str]]:
        if method.reference != isinstance(codes, StoredVectors):
            yield "not as encoded", f"{method.name} {'is no hash' if method.reference else 'is a hash'}"
            return
        splits = _splits(codes, data)
        total = sum(len(stored) for _, _, stored in splits)
        chosen = np.sort(np.random.default_rng().choice(total, min(self.reencoded, total), replace=False))
        for name, split, stored in splits:
            here, chosen = chosen[chosen < len(stored)], chosen[chosen >= len(stored)] - len(stored)
            features = inputs(method, split)
            if isinstance(codes, StoredVectors):
                wrong, unit = _other_vectors(encoder, features, stored, here, name == "query"), "numbers"
            else:
                wrong, unit = _other_codes(encoder, features, stored, here), "bits"
            if wrong:
                video, count = wrong[0]
                what = f"stored codes of {len(wrong)} of {len(here)} {name} videos differ from the encoder's"
                yield "not as encoded", f"{what}; video {video} in {count} of {stored.shape[1]} {unit}"

    def _dataset(self, run: StoredRun) -> Dataset | None:
        """The run's dataset; None if it is not available."""
        spec = run.record.spec
        if spec.dataset_fingerprint not in self._loaded:
            self._loaded[spec.dataset_fingerprint] = self._load(spec.dataset, spec.dataset_fingerprint)
        return self._loaded[spec.dataset_fingerprint]

    def _load(self, name: str, fingerprint: str) -> Dataset | None:
        source = self.given.get(fingerprint)
        if source is not None:
            return source.load()
        if name not in self.registry.datasets:
            return None
        try:
            source = self.registry.dataset(name)
            return source.load() if source.summary().fingerprint == fingerprint else None
        except InputError:  # its files are not here
            return None


def recomputation(registry: Registry, datasets: Iterable[str], reencoded: int = 0) -> Recomputation:
    """The proof with the datasets of these names or folders. Raises InputError if there is no such dataset."""
    given = [registry.dataset(name) for name in datasets]
    return Recomputation(registry, {source.summary().fingerprint: source for source in given}, reencoded)


def _relevance(run: StoredRun, data: Dataset | None) -> str | None:
    """The digest of labels, or of neighbours, from a source other than the run; None if there is none."""
    known = known_dataset(run.record.spec.dataset_fingerprint, run.root) if data is None else describe(data)
    if known is None and data is not None:
        return relevance_digest(None, None, data.neighbours)
    return None if known is None else known.labels


def _relaxed(run: StoredRun, encoder: Encoder, method: type[Method], data: Dataset) -> Iterator[tuple[State, str]]:
    """Scores of relaxed outputs that differ from the encoder's."""
    stored = run.record.relaxed or {}
    computed = relaxed_scores(encoder, method, data, stored) if stored else {}
    for name, by_k in stored.items():
        for k, value in by_k.items():
            found = computed.get(name, {}).get(k, ABSENT)
            # Outputs of another machine may differ in their last digits, and so order videos otherwise.
            if not (isinstance(found, float) and abs(found - value) <= ROUNDING):
                yield "not as computed", f"relaxed {name}@{k}: stored {value}, computed {found}"


def _splits(codes: Stored, data: Dataset) -> list[tuple[str, Split, NDArray[Any]]]:
    """Name, videos, and stored codes or vectors of each split."""
    if isinstance(codes, StoredVectors):
        return [("query", data.query, codes.query_vectors), ("gallery", data.gallery, codes.gallery_vectors)]
    splits: list[tuple[str, Split, NDArray[Any]]] = [("query", data.query, codes.query_codes)]
    return splits if codes.gallery_codes is None else [*splits, ("gallery", data.gallery, codes.gallery_codes)]


def _other_vectors(
    encoder: Encoder, features: Features, stored: NDArray[np.float32], videos: NDArray[np.int64], as_queries: bool
) -> list[tuple[int, int]]:
    """Videos whose stored vector differs from the encoder's, with the number of differing dimensions."""
    if not len(videos):
        return []
    found = encoder.vectors(features[videos], as_queries)
    if found.shape[1] != stored.shape[1]:
        return [(int(video), stored.shape[1]) for video in videos]
    least = ROUNDING * np.abs(found).max(axis=1, keepdims=True)
    numbers = (np.abs(found - stored[videos]) > least).sum(axis=1)
    # A sign near 0 may be another one on another machine.
    wrong = np.flatnonzero(numbers > FEW * stored.shape[1])
    return [(int(videos[row]), int(numbers[row])) for row in wrong]


def _other_codes(
    encoder: Encoder, features: Features, stored: NDArray[np.int8], videos: NDArray[np.int64]
) -> list[tuple[int, int]]:
    """Videos whose stored code differs from the encoder's, with the number of differing bits."""
    wrong = []
    for start in range(0, len(videos), CHUNK):
        part = videos[start : start + CHUNK]
        relaxed = encoder.forward()(features[part])
        least = ROUNDING * np.abs(relaxed).max(axis=1, keepdims=True)
        differs = ((relaxed >= 0) != (stored[part] > 0)) & (np.abs(relaxed) > least)
        wrong += [(int(video), int(bits)) for video, bits in zip(part, differs.sum(axis=1), strict=True) if bits]
    return wrong


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
