"""The identity of a run, and its record, `record.json`."""

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from bench.base.text import contradiction
from bench.base.values import MAX_BITS, MAX_SEED, MIN_BITS
from bench.data.dataset import Summary
from bench.metrics.codes import Diagnostics
from bench.metrics.scores import Scores, Shares
from bench.profile.cost_types import Costs

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Status = Literal["done", "failed", "timeout", "skipped", "unsound"]
"""Readers set `unsound` for a stored run that is damaged or contradicts itself: its numbers are not shown."""
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class RunSpec(BaseModel):
    """One method, with all its parameters, on one dataset at one code length and seed.

    Device, paths and worker counts are not part of it: they may change a run's time, but not its meaning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    dataset: str
    bits: int = Field(ge=MIN_BITS, le=MAX_BITS)
    seed: Seed
    parameters: dict[str, Any]
    dataset_fingerprint: str
    method_revision: int | Annotated[str, Field(pattern=r"^-?\d+-[0-9a-f]{12}$")]
    """The method's `revision`; for one loaded with --plugin, followed by a digest of its source."""

    @property
    def identity(self) -> str:
        """12 hexadecimal digits of the SHA-256 of the canonical JSON: equal if and only if all fields are equal."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def folder(self) -> str:
        """The run's path in a results folder: `<dataset>/<method>/<bits>-<identity>`."""
        return f"{self.dataset}/{self.method}/{self.bits}-{self.identity}"


def _check_names(checksums: dict[str, str]) -> dict[str, str]:
    """ValueError unless all names are paths within the record's folder: records are not trusted."""
    for name in checksums:
        parts = name.split("/")
        ordinary = name.isprintable() and "\\" not in name and all(0 < len(part) <= 255 for part in parts)
        if not ordinary or {".", ".."} & set(parts) or name == "record.json" or len(name) > 1000:
            raise ValueError(f"{name[:80]!r} is not a valid name of a file beside a record")
    return checksums


class RunRecord(BaseModel):
    """All data on a run but its codes and encoder."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    spec: RunSpec
    status: Status
    reason: str | None = None
    method_title: str
    paper: str
    uses_labels: bool
    """The method is given the labels."""
    reference: bool = False
    """Ranks by vectors: it has no codes, and nothing within a Hamming radius."""
    bound: bool = Field(default=False, validate_default=True)
    """Shown but not ranked with the methods. Always true if the method is given the labels, or has no codes."""
    dataset: Summary
    started: str
    durations: dict[str, Seconds]
    """Seconds of each phase: fit, encode, evaluate."""
    checkpoint: str = "last epoch"
    """The rule by which the evaluated weights were chosen; never test labels."""
    history: list[dict[str, Finite]] = []
    """Training losses, one row an epoch, with `epoch`, `loss` and the parts of the loss."""
    metrics: dict[str, Scores] = {}
    """By protocol name, without the values per query."""
    diagnostics: Diagnostics | None = None
    """None in records of earlier versions, and where there are no codes."""
    costs: Costs | None = None
    """None until measured; methods that are given the labels are not measured."""
    relaxed: dict[str, Shares] | None = None
    """mAP@k, or recall@k, of the relaxed outputs by protocol; None unless asked for (`bench.store.recompute`)."""
    environment: dict[str, Any]
    checksums: Annotated[dict[str, str], AfterValidator(_check_names)] = {}
    """SHA-256 of the files beside the record."""
    left_out: Annotated[dict[str, str], AfterValidator(_check_names)] = {}
    """SHA-256 of the run's other files, which a submission lacks (`bench.store.submission`)."""

    @field_validator("bound")
    @classmethod
    def _not_among_codes(cls, bound: bool, fields: ValidationInfo) -> bool:
        # Records of earlier versions lack `bound`.
        return bound or fields.data.get("uses_labels", False) or fields.data.get("reference", False)

    @model_serializer(mode="wrap")
    def _without_missing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Records of earlier versions, which did not know them, stay as they are.
        recent = {"reference", "relaxed", "left_out"}
        return {name: value for name, value in handler(self).items() if name not in recent or value}

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        """Repeated values must be equal, except in a record that is already marked as unsound."""
        if self.status == "unsound":
            return self
        spec, dataset = self.spec, self.dataset
        if (dataset.name, dataset.fingerprint) != (spec.dataset, spec.dataset_fingerprint):
            raise contradiction("dataset", f"{dataset.name} ({dataset.fingerprint})", f"{spec.dataset} "
                                f"({spec.dataset_fingerprint}) as in spec")  # fmt: skip
        if self.status != "done" and (self.metrics or self.costs or self.relaxed):
            raise contradiction("status", self.status, "done, since there are metrics or costs")
        for name, scores in self.metrics.items():
            self._require_own_scores(name, scores)
        if self.costs is not None:
            self._require_own_costs(self.costs)
        if self.reference and (self.diagnostics or self.relaxed):
            raise contradiction("reference", True, "false, since there are diagnostics or relaxed outputs of codes")
        if self.metrics and not (self.relaxed or {}).keys() <= self.metrics.keys():
            raise contradiction("relaxed", list(self.relaxed or {}), f"protocols of metrics: {', '.join(self.metrics)}")
        return self

    def _require_own_scores(self, protocol: str, scores: Scores) -> None:
        if scores.map_full is None:
            raise contradiction(f"metrics.{protocol}.map_full", None, "a number, as records hold every metric")
        for what, stored, expected in (
            ("protocol", scores.protocol.name, protocol),
            ("bits", scores.bits, None if self.reference else self.spec.bits),
            ("radii of precision_recall", _radii(scores), 0 if self.reference else self.spec.bits + 1),
            ("queries", scores.queries, self.dataset.query_videos),
            ("gallery", scores.gallery, self.dataset.gallery_videos),
            ("k of relaxed", tuple((self.relaxed or {}).get(protocol, scores.ks)), scores.ks),
        ):
            if stored != expected:
                raise contradiction(f"metrics.{protocol}: {what}", stored, f"{expected} as the run says")

    def _require_own_costs(self, costs: Costs) -> None:
        if self.uses_labels:
            raise contradiction("costs", "measured", "none for a method that is given the labels")
        if costs.code_bytes != -(-self.spec.bits // 8) and not self.reference:
            raise contradiction("code_bytes", costs.code_bytes, f"{-(-self.spec.bits // 8)} of {self.spec.bits} bits")
        if costs.search is not None and costs.search.gallery != self.dataset.gallery_videos:
            raise contradiction("search.gallery", costs.search.gallery, f"{self.dataset.gallery_videos} videos")


def _radii(scores: Scores) -> int:
    return 0 if scores.precision_recall is None else len(scores.precision_recall.recall)
