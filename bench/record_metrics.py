"""What every reader of stored metrics relies on, checked where a record is read."""

from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from bench.data.dataset import Summary
from bench.metrics.protocols import NEIGHBOURS, PROTOCOLS
from bench.text import one_line, validation_message

ROUNDING = 1e-9
Share = Annotated[float, Field(ge=-ROUNDING, le=1 + ROUNDING, allow_inf_nan=False)]
"""From 0 to 1, but for what sums round."""
Cutoff = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}$")]
Shares = dict[Cutoff, Share]
Curve = Annotated[list[Share], Field(min_length=1)]
BY_K = ("map_best", "map_worst", "precision", "recall", "ndcg")


def contradiction(what: str, stored: object, expected: str) -> PydanticCustomError:
    """An error of validation that says what is stored, and what all else in the record says."""
    told = {"what": what, "stored": one_line(str(stored)), "expected": expected}
    return PydanticCustomError("contradiction", "{what} is stored as {stored}; expected {expected}", told)


class _Checked(BaseModel):
    # Texts that look like numbers would be none to those who read the record.
    model_config = ConfigDict(strict=True)


class _Protocol(_Checked):
    """Parts but the description are missing in records of the first versions."""

    name: str | None = None
    description: str
    normalise: str | None = None
    exclude_self: bool | None = None
    ties: str | None = None


class _PrecisionRecall(_Checked):
    recall: Curve
    precision: Curve

    @model_validator(mode="after")
    def _a_curve(self) -> Self:
        if len(self.recall) != len(self.precision):
            raise PydanticCustomError("lengths", "recall and precision are of different lengths")
        if self.recall != sorted(self.recall):
            raise PydanticCustomError("falling", "recall falls as the radius grows")
        return self


class _StoredScores(_Checked):
    """`bench.metrics.Scores.to_json()`, as far as reports and comparisons read it."""

    protocol: _Protocol
    bits: int | None = None
    ks: list[int] | None = None
    queries: int = Field(ge=1)
    gallery: int | None = None
    map: Annotated[Shares, Field(min_length=1)]
    map_best: Shares
    map_worst: Shares
    tie_spread: Shares | None = None
    precision: Shares
    recall: Shares
    ndcg: Shares
    map_full: Share
    precision_recall: _PrecisionRecall
    precision_radius2: Share
    queries_empty_radius2: int = Field(default=0, ge=0)
    """Records of the first versions do not count them."""
    queries_without_relevant: int = Field(ge=0)

    @model_validator(mode="after")
    def _same_cutoffs(self) -> Self:
        for name in BY_K:
            if getattr(self, name).keys() != self.map.keys():
                raise PydanticCustomError("cutoffs", "map and {name} are not of the same k", {"name": name})
        if self.ks is not None and sorted(map(str, self.ks)) != sorted(self.map):
            raise contradiction("ks", self.ks, f"those of map: {', '.join(self.map)}")
        return self

    @model_validator(mode="after")
    def _ties_around_the_mean(self) -> Self:
        for k, value in self.map.items():
            worst, best = self.map_worst[k], self.map_best[k]
            if not worst - ROUNDING <= value <= best + ROUNDING:
                raise contradiction(f"map@{k}", value, f"between {worst} and {best}, its worst and best order of ties")
            if self.tie_spread is not None and abs(self.tie_spread.get(k, -1) - (best - worst)) > ROUNDING:
                raise contradiction(f"tie_spread@{k}", self.tie_spread.get(k), f"{best - worst}, best minus worst")
        return self

    @model_validator(mode="after")
    def _counts_and_means(self) -> Self:
        for name in ("queries_empty_radius2", "queries_without_relevant"):
            if getattr(self, name) > self.queries:
                raise contradiction(name, getattr(self, name), f"at most {self.queries} queries")
        # A query with nothing relevant scores 0 everywhere.
        most = 1 - self.queries_without_relevant / self.queries + ROUNDING
        for name in ("map", *BY_K):
            for k, value in getattr(self, name).items():
                if value > most:
                    raise contradiction(
                        f"{name}@{k}", value, f"at most the {most:.6g} of queries with something to find"
                    )
        curves = self.precision_recall
        found = 1 - self.queries_without_relevant / self.queries
        if abs(curves.recall[-1] - found) > ROUNDING:
            raise contradiction("recall within the largest radius", curves.recall[-1], f"{found}, as all is within it")
        within = curves.precision[min(2, len(curves.precision) - 1)]
        if abs(self.precision_radius2 - within) > ROUNDING:
            raise contradiction("precision_radius2", self.precision_radius2, f"{within} as in precision_recall")
        return self


def check_metrics(metrics: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Metrics by protocol as they are; an error of validation unless each has the tables that are read.

    Tables by k have the same k, values are finite, from 0 to 1, and agree with each other and with the protocol.
    """
    for protocol, values in metrics.items():
        try:
            scores = _StoredScores.model_validate(values)
        except ValidationError as error:
            told = {"protocol": protocol, "why": validation_message(error)}
            raise PydanticCustomError("metrics", "of protocol {protocol}: {why}", told) from error
        _require_protocol(protocol, scores.protocol)
    return metrics


def metrics_of_another(
    metrics: dict[str, dict[str, Any]], bits: int, dataset: Summary
) -> PydanticCustomError | None:  # fmt: skip
    """What shows that checked metrics are those of codes of another length or of another dataset; None: nothing."""
    for protocol, values in metrics.items():
        curve = values["precision_recall"]["recall"]
        for what, stored, expected in (
            ("bits", values.get("bits", bits), bits),
            ("radii of precision_recall", len(curve), bits + 1),
            ("queries", values["queries"], dataset.query_videos),
            ("gallery", values.get("gallery", dataset.gallery_videos), dataset.gallery_videos),
        ):
            if stored != expected:
                return contradiction(f"metrics: of protocol {protocol}: {what}", stored, f"{expected} as the run says")
    return None


def _require_protocol(key: str, stored: _Protocol) -> None:
    """A known protocol is described in its own words; one that is unknown has no meaning to compare by."""
    known = {**PROTOCOLS, NEIGHBOURS.name: NEIGHBOURS}.get(key)
    if known is None:
        raise contradiction("protocol", key, f"one of {', '.join(PROTOCOLS)}")
    descriptions = [replace(known, apart=apart).description for apart in (False, True)]
    parts = [
        ("name", stored.name, known.name),
        ("normalise", stored.normalise, known.normalise),
        ("exclude_self", stored.exclude_self, known.exclude_self),
        ("ties", stored.ties, known.ties),
        ("description", stored.description if stored.description not in descriptions else None, descriptions[0]),
    ]
    for part, value, expected in parts:
        if value not in {None, expected}:
            raise contradiction(f"of protocol {key}: {part}", value, str(expected))
