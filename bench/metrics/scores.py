"""The result of an evaluation, as `bench.evaluate` returns it and as the record of a run keeps it."""

import re
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    SkipValidation,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bench.base.quantity import Quantity, quantities
from bench.base.text import contradiction
from bench.base.values import plain
from bench.metrics.protocols import Protocol, described, read_protocol

ROUNDING = 1e-9
K = re.compile("[1-9][0-9]{0,17}")


@lru_cache(maxsize=256, typed=True)  # thousands of records have the same few
def _read_k(key: object) -> object:
    """A cut-off: in JSON, keys are texts."""
    if not isinstance(key, str):
        return key
    if not K.fullmatch(key):
        raise PydanticCustomError("k", "a cut-off k should be a whole number from 1 on")
    return int(key)


def _ascending(table: dict[int, float]) -> dict[int, float]:
    return dict(sorted(table.items()))


def _array(values: list[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=-ROUNDING, le=1 + ROUNDING, allow_inf_nan=False)]
"""From 0 to 1, up to rounding of sums."""

Shares = Annotated[dict[Annotated[int, Field(ge=1), BeforeValidator(_read_k)], Share], AfterValidator(_ascending)]
"""A value for every cut-off k, ascending."""

PerQuery = dict[int, SkipValidation[NDArray[np.float64]]]
_Curve = Annotated[
    list[Share], Field(min_length=1), BeforeValidator(plain), AfterValidator(_array), PlainSerializer(plain)
]

Curve = Annotated[NDArray[np.float64], GetPydanticSchema(lambda _source, handler: handler.generate_schema(_Curve))]
"""Shares as an array; a list in JSON."""


class PrecisionRecall(NamedTuple):
    """Means over the queries among the items within Hamming distance h = 0 … K: arrays (K + 1,)."""

    recall: Curve
    precision: Curve


def _require_curve(curve: PrecisionRecall) -> PrecisionRecall:
    if len(curve.recall) != len(curve.precision):
        raise PydanticCustomError("lengths", "recall and precision are of different lengths")
    if (curve.recall[1:] < curve.recall[:-1]).any():
        raise PydanticCustomError("falling", "recall falls as the radius grows")
    return curve


def _listed(curve: PrecisionRecall) -> dict[str, list[float]]:
    return {"recall": curve.recall.tolist(), "precision": curve.precision.tolist()}


class Scores(BaseModel):  # noqa: PLW1641 (a hash comes with every frozen model)
    """Ranking metrics of Q queries against a gallery, means over all queries.

    Notation: rel(r) is 1 if the item at rank r is relevant, else 0; prec(r) = (1/r) * sum_{s<=r} rel(s); R is the
    number of relevant items in the gallery (without the query itself, if the protocol leaves it out). Where items tie,
    a metric whose formula has ranks r follows the protocol's rule for ties, unless it is named best or worst; what is
    counted within a radius does not depend on the order of ties. Ranks beyond the end of the gallery hold nothing
    relevant. A query without relevant items scores 0 everywhere and counts in every mean. All values lie in [0, 1].

    Attributes:
        protocol: what `map` and its relatives mean.
        bits: K, the length of the codes; None for vectors, which have no Hamming distance: `precision_recall` and the
            two of radius 2 are then None as well.
        ks: the cut-offs, ascending, each once.
        queries, gallery: how many codes there were (the gallery is counted with the query itself).
        map: mAP@k. AP@k = (1/d) * sum_{r<=k} rel(r) * prec(r); d = k if the protocol normalises by `k` (what the
            released code of SSVH, BTH, MCMSH, ConMH and S5VH computes), d = min(k, R) if by `relevant`.
        map_best, map_worst: mAP@k if among equal distances relevant items came first, or last: no order of ties gives
            more, or less. The rest as in `map`.
        tie_spread: how far the order of ties alone can move mAP@k: best minus worst.
        ceiling: the mean over the queries of the largest AP@k that any ranking has, min(k, R) / d; None in records that
            do not have it.
        average_precision: AP@k of every query, float64 (Q,), in the order of the queries; `map` is its mean. Empty
            where the scores come from a record, as is `recall_per_query`.
        precision: precision@k = (1/k) * sum_{r<=k} rel(r).
        recall: recall@k = (1/R) * sum_{r<=k} rel(r).
        recall_per_query: recall@k of every query, float64 (Q,), in the order of the queries.
        ndcg: NDCG@k with binary gains = DCG@k / IDCG@k, DCG@k = sum_{r<=k} rel(r) / log2(r + 1) (Järvelin and
            Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002; discount of Burges et al., ICML
            2005), IDCG@k = sum_{r<=min(k,R)} 1 / log2(r + 1).
        map_full: mAP over the whole ranking, AP = (1/R) * sum_r rel(r) * prec(r), whatever the protocol normalises by.
            Where the whole ranking was not asked for, this, `r_precision`, `precision_recall`, `precision_radius2` and
            `queries_empty_radius2` are None.
        r_precision: precision at rank R, (1/R) * sum_{r<=R} rel(r) (Manning, Raghavan and Schütze, "Introduction to
            Information Retrieval", 2008, section 8.4); None in records that do not have it.
        precision_recall: (recall, precision), each float64 (K + 1,): entry h is the mean over queries of recall and of
            precision among the items within Hamming distance h of the query; no interpolation. A query with no item
            within h has precision 0 there.
        precision_radius2: precision within Hamming distance 2, a query with no item there counting 0; this is entry 2
            of the curve's precision (the last entry for 1-bit codes).
        queries_empty_radius2: how many queries have no item within Hamming distance 2; None in records that do not
            count them.
        queries_without_relevant: how many queries have R = 0.
    """

    model_config = ConfigDict(frozen=True, strict=True, arbitrary_types_allowed=True)

    protocol: Annotated[Protocol, PlainValidator(read_protocol), PlainSerializer(described)]
    bits: Annotated[int, Field(ge=1)] | None
    ks: Annotated[tuple[int, ...], Field(strict=False)]
    queries: Annotated[int, Field(ge=1)]
    gallery: Count
    map: Annotated[Shares, Field(min_length=1), Quantity("mAP@k", "higher")]
    map_best: Annotated[Shares, Quantity("mAP@k, best order of ties", "higher")]
    map_worst: Annotated[Shares, Quantity("mAP@k, worst order of ties", "higher")]
    tie_spread: Shares
    ceiling: Shares | None = None
    average_precision: PerQuery = Field(default={}, exclude=True, repr=False)
    precision: Annotated[Shares, Quantity("precision@k", "higher")]
    recall: Annotated[Shares, Quantity("recall@k", "higher")]
    recall_per_query: PerQuery = Field(default={}, exclude=True, repr=False)
    ndcg: Annotated[Shares, Quantity("NDCG@k", "higher")]
    map_full: Annotated[Share | None, Quantity("mAP, whole ranking", "higher")]
    r_precision: Annotated[
        Share | None,
        Quantity("R-precision", "higher", note="R-precision: precision@k with k the number of relevant videos."),
    ] = None
    precision_recall: Annotated[PrecisionRecall, AfterValidator(_require_curve), PlainSerializer(_listed)] | None = (
        Field(repr=False)
    )
    precision_radius2: Annotated[
        Share | None,
        Quantity(
            "precision, radius 2",
            "higher",
            note="Radius 2: among the videos within Hamming distance 2 of a query; a query with nothing there counts "
            "as 0.",
        ),
    ]
    queries_empty_radius2: Count | None = None
    queries_without_relevant: Count

    @property
    def nothing_within_radius2(
        self,
    ) -> Annotated[
        float | None, Quantity("nothing within 2", "lower", "%", note="Nothing within 2: the share of such queries.")
    ]:
        """The share of queries that have no item within Hamming distance 2; None where they were not counted."""
        return None if self.queries_empty_radius2 is None else self.queries_empty_radius2 / self.queries

    @property
    def compared(self) -> dict[int, float]:
        """The means that are shown first and compared: mAP@k, or recall@k where there are no labels."""
        return self.recall if self.protocol.measure == "recall" else self.map

    @property
    def per_query(self) -> dict[int, NDArray[np.float64]]:
        """The same of every query, which tests between methods start from: AP@k, or recall@k."""
        return self.recall_per_query if self.protocol.measure == "recall" else self.average_precision

    def without_queries(self) -> Self:
        """These scores without the values per query, which a record does not keep."""
        return self.model_copy(update={"average_precision": {}, "recall_per_query": {}})

    def to_json(self) -> dict[str, Any]:
        """Everything but the per-query values, in types that `json` writes as they are; every k is a string key."""
        return self.model_dump(mode="json")

    def __eq__(self, other: object) -> bool:
        """Whether all means are equal; values per query are not compared."""
        return isinstance(other, Scores) and self.to_json() == other.to_json()

    @model_serializer(mode="wrap")
    def _without_missing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Records of earlier versions, which did not know a quantity, stay as they are.
        fields = type(self).model_fields
        return {
            name: value
            for name, value in handler(self).items()
            if value is not None or (name in fields and fields[name].is_required())
        }

    @field_validator("precision_recall", "precision_radius2")
    @classmethod
    def _of_codes(cls, value: Any, fields: ValidationInfo) -> Any:
        missing, of_codes = value is None, fields.data.get("bits") is not None
        not_asked_for = missing and fields.data.get("map_full") is None
        if missing == of_codes and not not_asked_for:
            raise PydanticCustomError("codes", "there is one of codes only, whose bits are known")
        return value

    @model_validator(mode="after")
    def _same_cutoffs(self) -> Self:
        if self.ks != tuple(self.map):
            raise contradiction("ks", list(self.ks), f"those of map: {', '.join(str(k) for k in self.map)}")
        for name in quantities(Scores):
            values = getattr(self, name)
            if isinstance(values, dict) and values.keys() != self.map.keys():
                raise PydanticCustomError("cutoffs", "map and {name} are not of the same k", {"name": name})
        return self

    @model_validator(mode="after")
    def _ties_around_the_mean(self) -> Self:
        for k, value in self.map.items():
            worst, best = self.map_worst[k], self.map_best[k]
            if not worst - ROUNDING <= value <= best + ROUNDING:
                raise contradiction(f"map@{k}", value, f"between {worst} and {best}, its worst and best order of ties")
            if abs(self.tie_spread.get(k, -1) - (best - worst)) > ROUNDING:
                raise contradiction(f"tie_spread@{k}", self.tie_spread.get(k), f"{best - worst}, best minus worst")
        return self

    @model_validator(mode="after")
    def _within_what_can_be_found(self) -> Self:
        """A query with nothing relevant scores 0 everywhere."""
        for name in ("queries_empty_radius2", "queries_without_relevant"):
            count = getattr(self, name)
            if count is not None and count > self.queries:
                raise contradiction(name, count, f"at most {self.queries} queries")
        most = 1 - self.queries_without_relevant / self.queries
        for name, quantity in quantities(Scores).items():
            if quantity.better == "higher":
                self._require_at_most(most, name)
        return self

    def _require_at_most(self, most: float, name: str) -> None:
        found = getattr(self, name)
        by_k = found if isinstance(found, dict) else {None: found}
        for k, value in by_k.items():
            if value is not None and value > most + ROUNDING:
                place = name if k is None else f"{name}@{k}"
                raise contradiction(place, value, f"at most the {most:.6g} of queries with something to find")

    @model_validator(mode="after")
    def _curve_ends(self) -> Self:
        if self.precision_recall is None or self.precision_radius2 is None:
            return self
        recall, precision = self.precision_recall
        found = 1 - self.queries_without_relevant / self.queries
        if abs(recall[-1] - found) > ROUNDING:
            raise contradiction("recall within the largest radius", recall[-1], f"{found}, as all is within it")
        within = precision[min(2, len(precision) - 1)]
        if abs(self.precision_radius2 - within) > ROUNDING:
            raise contradiction("precision_radius2", self.precision_radius2, f"{within} as in precision_recall")
        return self
