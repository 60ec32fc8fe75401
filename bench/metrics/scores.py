"""What an evaluation returns."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metrics.protocols import Protocol


@dataclass(frozen=True, eq=False)
class Scores:
    """Ranking metrics of Q queries against a gallery, means over all queries.

    Notation: rel(r) is 1 if the item at rank r is relevant, else 0; prec(r) = (1/r) * sum_{s<=r} rel(s); R is the
    number of relevant items in the gallery (without the query itself, if the protocol leaves it out). Where items tie,
    `map`, `average_precision`, `precision`, `recall`, `ndcg` and `map_full` follow the protocol's rule for ties;
    precision and recall within a radius do not depend on the order of ties. Ranks beyond the end of the gallery hold
    nothing relevant. A query without relevant items scores 0 everywhere and counts in every mean. All values lie in
    [0, 1].

    Attributes:
        protocol: what `map` and its relatives mean.
        bits: K, the length of the codes.
        ks: the cut-offs, ascending, each once.
        queries, gallery: how many codes there were (the gallery is counted with the query itself).
        map: mAP@k. AP@k = (1/d) * sum_{r<=k} rel(r) * prec(r); d = k if the protocol normalises by `k` (what the
            released code of SSVH, BTH, MCMSH, ConMH and S5VH computes), d = min(k, R) if by `relevant`.
        map_best, map_worst: mAP@k if among equal distances relevant items came first, or last: no order of ties gives
            more, or less. The rest as in `map`.
        average_precision: AP@k of every query, float64 (Q,), in the order of the queries; `map` is its mean.
        precision: precision@k = (1/k) * sum_{r<=k} rel(r).
        recall: recall@k = (1/R) * sum_{r<=k} rel(r).
        recall_per_query: recall@k of every query, float64 (Q,), in the order of the queries.
        ndcg: NDCG@k with binary gains = DCG@k / IDCG@k, DCG@k = sum_{r<=k} rel(r) / log2(r + 1) (Järvelin and
            Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002; discount of Burges et al., ICML
            2005), IDCG@k = sum_{r<=min(k,R)} 1 / log2(r + 1).
        map_full: mAP over the whole ranking, AP = (1/R) * sum_r rel(r) * prec(r), whatever the protocol normalises by.
        precision_recall: (recall, precision), each float64 (K + 1,): entry h is the mean over queries of recall and of
            precision among the items within Hamming distance h of the query; no interpolation. A query with no item
            within h has precision 0 there.
        precision_radius2: precision within Hamming distance 2, a query with no item there counting 0; this is entry 2
            of the curve's precision (the last entry for 1-bit codes).
        queries_empty_radius2: how many queries have no item within Hamming distance 2.
        queries_without_relevant: how many queries have R = 0.
    """

    protocol: Protocol
    bits: int
    ks: tuple[int, ...]
    queries: int
    gallery: int
    map: dict[int, float]
    map_best: dict[int, float]
    map_worst: dict[int, float]
    average_precision: dict[int, NDArray[np.float64]] = field(repr=False)
    precision: dict[int, float]
    recall: dict[int, float]
    recall_per_query: dict[int, NDArray[np.float64]] = field(repr=False)
    ndcg: dict[int, float]
    map_full: float
    precision_recall: tuple[NDArray[np.float64], NDArray[np.float64]] = field(repr=False)
    precision_radius2: float
    queries_empty_radius2: int
    queries_without_relevant: int

    @property
    def tie_spread(self) -> dict[int, float]:
        """How far the order of ties alone can move mAP@k: best minus worst."""
        return {k: self.map_best[k] - self.map_worst[k] for k in self.ks}

    @property
    def per_query(self) -> dict[int, NDArray[np.float64]]:
        """What tests between methods start from: AP@k of every query, or its recall@k where there are no labels."""
        return self.recall_per_query if self.protocol.measure == "recall" else self.average_precision

    def to_json(self) -> dict[str, Any]:
        """Everything but the per-query values, in types that `json` writes as they are; every k is a string key."""
        protocol = self.protocol
        recall, precision = self.precision_recall
        by_k = {
            "map": self.map,
            "map_best": self.map_best,
            "map_worst": self.map_worst,
            "tie_spread": self.tie_spread,
            "precision": self.precision,
            "recall": self.recall,
            "ndcg": self.ndcg,
        }
        return {
            "protocol": {
                "name": protocol.name,
                "description": protocol.description,
                "normalise": protocol.normalise,
                "exclude_self": protocol.exclude_self,
                "ties": protocol.ties,
            },
            "bits": self.bits,
            "ks": list(self.ks),
            "queries": self.queries,
            "gallery": self.gallery,
            **{name: {str(k): value for k, value in values.items()} for name, values in by_k.items()},
            "map_full": self.map_full,
            "precision_recall": {"recall": recall.tolist(), "precision": precision.tolist()},
            "precision_radius2": self.precision_radius2,
            "queries_empty_radius2": self.queries_empty_radius2,
            "queries_without_relevant": self.queries_without_relevant,
        }
