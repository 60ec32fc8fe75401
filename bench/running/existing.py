"""The policies for runs that are stored already, and what each means for a run."""

from typing import Literal, get_args

from bench.errors import InputError
from bench.store import StoredRun

Existing = Literal["reuse", "rerun", "retry-failed", "only-cached"]
Fate = Literal["reused", "done", "left out"]


def check_existing(policy: str) -> Existing:
    """The policy itself; InputError if it is not one."""
    for known in get_args(Existing):
        if policy == known:
            return known
    raise InputError(f"unknown policy '{policy}' for --existing: known: {', '.join(get_args(Existing))}")


def fate(existing: Existing, stored: StoredRun | None) -> Fate:
    """What becomes of a run: `stored` is what is there before, sound; None if nothing is."""
    if stored is None:
        return "left out" if existing == "only-cached" else "done"
    failed = stored.record.status != "done"
    return "done" if existing == "rerun" or (existing == "retry-failed" and failed) else "reused"
