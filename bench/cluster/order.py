"""What a node is given to do a run, and what it tells of it: plain values that Ray carries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.cluster.capacity import Need
from bench.cluster.parcels import Piece
from bench.spec import RunSpec

Kind = Literal["results", "states"]
RESULTS: Kind = "results"
STATES: Kind = "states"
STATE_FILES = "*/*.safetensors"
"""Where training keeps its states below a run's training folder, as `bench.training.states` writes them."""


@dataclass(frozen=True)
class Order:
    """One run."""

    spec: RunSpec
    dataset: str
    """As it was asked for."""
    need: Need
    versions: Mapping[str, str]
    method_digest: str
    states: Mapping[str, bytes]
    """The last states of its training, by name below its training folder."""
    time_limit: float | None
    memory_limit: int | None


@dataclass(frozen=True)
class Begun:
    """The run is under way on a machine."""

    host: str


@dataclass(frozen=True)
class News:
    """Messages of the process that does the run, as `bench.running.messages` writes them."""

    messages: Sequence[bytes]


@dataclass(frozen=True)
class Sent:
    """A piece of a file of the training's states, or of the stored run."""

    kind: Kind
    piece: Piece


@dataclass(frozen=True)
class Ended:
    """The last that is told: all files were sent before."""

    outcome: Literal["stored", "stopped", "refused"]
    reason: str = ""
    results: Path = Path()
    """The results folder that the run believed to be in."""


Told = Begun | News | Sent | Ended
