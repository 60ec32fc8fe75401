"""A run's identity: what was run, with every default resolved."""

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bench.values import whole_number

MIN_BITS, MAX_BITS = 1, 1024
MAX_SEED = 2**32 - 1
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class RunSpec(BaseModel):
    """One method, with all its parameters, on one dataset at one code length and seed.

    Device, paths and worker counts are not part of it: they may change the time a run takes, not what it means.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    dataset: str
    bits: int = Field(ge=MIN_BITS, le=MAX_BITS)
    seed: Seed
    parameters: dict[str, Any]
    dataset_fingerprint: str
    method_revision: int | Annotated[str, Field(pattern=r"^-?\d+-[0-9a-f]{12}$")]
    """Its `revision`; of a method in a file that --plugin names followed by a digest of its source."""

    @property
    def identity(self) -> str:
        """12 hexadecimal digits of the SHA-256 of the canonical JSON: equal exactly where all fields are equal."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def folder(self) -> str:
        """Where the run lies in a results folder: `<dataset>/<method>/<bits>-<identity>`."""
        return f"{self.dataset}/{self.method}/{self.bits}-{self.identity}"


def check_bits(bits: object) -> int:
    """`bits` as an int; InputError unless it is a whole number of 1…1024."""
    return whole_number(bits, "bits", MIN_BITS, MAX_BITS)


def check_seed(seed: object) -> int:
    """`seed` as an int; InputError unless it is a whole number of 0…2³²-1."""
    return whole_number(seed, "seed", 0, MAX_SEED)
