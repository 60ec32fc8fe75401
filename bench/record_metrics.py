"""What every reader of stored metrics relies on, checked where a record is read."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from bench.text import validation_message

ROUNDING = 1e-9
Share = Annotated[float, Field(ge=-ROUNDING, le=1 + ROUNDING, allow_inf_nan=False)]
"""From 0 to 1, but for what sums round."""
Cutoff = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}$")]
Shares = dict[Cutoff, Share]
Curve = Annotated[list[Share], Field(min_length=1)]


class _Checked(BaseModel):
    # Texts that look like numbers would be none to those who read the record.
    model_config = ConfigDict(strict=True)


class _Protocol(_Checked):
    description: str


class _PrecisionRecall(_Checked):
    recall: Curve
    precision: Curve

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        if len(self.recall) != len(self.precision):
            raise PydanticCustomError("lengths", "recall and precision are of different lengths")
        return self


class _StoredScores(_Checked):
    """`bench.metrics.Scores.to_json()`, as far as reports and comparisons read it."""

    protocol: _Protocol
    queries: int = Field(ge=1)
    map: Annotated[Shares, Field(min_length=1)]
    map_best: Shares
    map_worst: Shares
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
        for name in ("map_best", "map_worst", "precision", "recall", "ndcg"):
            if getattr(self, name).keys() != self.map.keys():
                raise PydanticCustomError("cutoffs", "map and {name} are not of the same k", {"name": name})
        return self


def check_metrics(metrics: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Metrics by protocol as they are; an error of validation unless each has the tables that are read.

    Tables by k have the same k, values are finite and from 0 to 1.
    """
    for protocol, values in metrics.items():
        try:
            _StoredScores.model_validate(values)
        except ValidationError as error:
            told = {"protocol": protocol, "why": validation_message(error)}
            raise PydanticCustomError("metrics", "of protocol {protocol}: {why}", told) from error
    return metrics
