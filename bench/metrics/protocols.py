"""Evaluation protocols: the decisions that two papers must share before their mAP@k may be compared."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, get_args

from bench.base.errors import InputError
from bench.base.text import LONGEST_SHOWN, contradiction, one_line

Normalise = Literal["k", "relevant"]
Ties = Literal["expected", "index", "best", "worst"]
Measure = Literal["mAP", "recall"]
PARTS = ("normalise", "exclude_self", "ties")
"""The parts of a protocol that can be changed, by the names of arguments."""
_NORMALISE = {
    "k": "AP@k is divided by k",
    "relevant": "AP@k is divided by the smaller of k and the number of relevant items in the gallery",
}
_EXCLUDE_SELF = {
    False: "a query that is in the gallery stays there",
    True: "a query that is in the gallery is left out of its own ranking",
}
_TIES = {
    "expected": "equal distances count with the mean over all their orders",
    "index": "equal distances keep the order of the gallery, as in a stable sort",
    "best": "among equal distances relevant items come first",
    "worst": "among equal distances relevant items come last",
}


@dataclass(frozen=True)
class Protocol:
    """The definition of a mAP@k.

    Attributes:
        name: `paper`, `strict`, or one of them with what was changed, as in `paper, ties=index`.
        normalise: the divisor of AP@k: `k`, or `relevant` for min(k, relevant items in the gallery).
        exclude_self: a query is left out of its own ranking; matters only where the queries are the gallery.
        ties: how items at the same distance are ordered: `expected` is the mean over all orders, `index` the order of
            the gallery, `best` and `worst` put relevant items first and last.
        measure: what is shown first and compared: `mAP`, or `recall` where no labels say what is relevant.
        separate: the gallery is known to differ from the queries, so that `exclude_self` had no effect; set
            by `evaluate` in what it returns.
    """

    name: str
    normalise: Normalise
    exclude_self: bool
    ties: Ties
    measure: Measure = "mAP"
    separate: bool = False

    @property
    def description(self) -> str:
        """One sentence for the foot of a table."""
        if self.measure == "recall":
            left_out = "" if self.separate else "; a query is left out of its own ranking"
            return (
                "no labels: relevant are the gallery videos nearest to the query by the cosine of their mean features, "
                f"found exactly; recall@k is the share of them among the first k{left_out}; {_TIES[self.ties]}."
            )
        of_self = "the gallery is apart from the queries" if self.separate else _EXCLUDE_SELF[self.exclude_self]
        return f"{_NORMALISE[self.normalise]}; {of_self}; {_TIES[self.ties]}."


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        # What the papers' released code computes, save that it leaves the order of ties to an unstable sort.
        "paper": Protocol("paper", normalise="k", exclude_self=False, ties="expected"),
        "strict": Protocol("strict", normalise="relevant", exclude_self=True, ties="expected"),
    }
)
# Kept out of the table: it needs neighbours in place of labels, and `evaluate_neighbours` takes these.
NEIGHBOURS = Protocol("neighbours", normalise="relevant", exclude_self=True, ties="expected", measure="recall")


def measure_of(protocol: str) -> Measure:
    """The measure that is shown first and compared under the protocol of this name."""
    return "recall" if protocol == NEIGHBOURS.name else "mAP"


def described(protocol: Protocol) -> dict[str, Any]:
    """The parts of a protocol that a record keeps, as its readers see them."""
    return {"name": protocol.name, "description": protocol.description} | {
        part: getattr(protocol, part) for part in PARTS
    }


def read_protocol(stored: Any) -> Protocol:
    """The protocol that a record describes, or that an evaluation was given.

    Raises a validation error unless it is known and described in its own words: one that is unknown has no meaning to
    compare by.
    """
    if isinstance(stored, Protocol):
        return stored
    parts = stored if isinstance(stored, dict) else {}
    if parts.get("name") not in (*PROTOCOLS, NEIGHBOURS.name):
        raise contradiction("name", parts.get("name"), f"one of {', '.join(PROTOCOLS)}")
    known, separate = _known(parts["name"])
    protocol, described_by = separate if parts.get("description") == separate[1]["description"] else known
    for part, expected in described_by.items():
        if parts.get(part) != expected:
            raise contradiction(part, parts.get(part), str(expected))
    return protocol


@cache  # thousands of records have the same few
def _known(name: str) -> tuple[tuple[Protocol, dict[str, Any]], tuple[Protocol, dict[str, Any]]]:
    """The protocol of this name with its description, for any gallery, and for one apart from the queries."""
    protocol = NEIGHBOURS if name == NEIGHBOURS.name else PROTOCOLS[name]
    separate = replace(protocol, separate=True)
    return (protocol, described(protocol)), (separate, described(separate))


def choose_protocol(
    name: str, normalise: Normalise | None = None, exclude_self: bool | None = None, ties: Ties | None = None
) -> Protocol:
    """The protocol called `name`, with single parts replaced; its new name lists the parts that differ.

    Raises:
        InputError: a name or a part is unknown; the known ones are listed.
    """
    base = PROTOCOLS.get(name) if isinstance(name, str) else None
    if base is None:
        names_part = isinstance(name, str) and any(f"{part}=" in name for part in PARTS)
        fix = f"; {', '.join(PARTS)} are no part of a name, but arguments of bench.evaluate" if names_part else ""
        raise InputError(f"unknown protocol {_shown(name)}; known: {', '.join(PROTOCOLS)}{fix}")
    _check_choice("normalise", normalise, get_args(Normalise))
    if exclude_self is not None and not isinstance(exclude_self, bool):
        raise InputError(f"unknown exclude_self {_shown(exclude_self)}; known: True, False")
    _check_choice("ties", ties, get_args(Ties))
    changed = replace(
        base,
        normalise=base.normalise if normalise is None else normalise,
        exclude_self=base.exclude_self if exclude_self is None else exclude_self,
        ties=base.ties if ties is None else ties,
    )
    parts = [f"{part}={getattr(changed, part)}" for part in PARTS if getattr(changed, part) != getattr(base, part)]
    return replace(changed, name=", ".join([base.name, *parts]))


def _check_choice(part: str, value: object, known: tuple[str, ...]) -> None:
    # Only texts are compared: an array would answer with an array.
    if value is not None and not (isinstance(value, str) and value in known):
        raise InputError(f"unknown {part} {_shown(value)}; known: {', '.join(known)}")


def _shown(value: object) -> str:
    return one_line(repr(value))[:LONGEST_SHOWN]
