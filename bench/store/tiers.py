"""Tiers of trust in results of other people: determined at each use, never stored."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bench.store.consistency import unsound
from bench.store.recompute import Recomputation
from bench.store.stored_run import StoredRun

REPORTED = "as reported"
RECOMPUTED = "recomputed from codes"
REENCODED = "re-encoded from the encoder"
RETRAINED = "retrained elsewhere within noise"
TIERS = {
    REPORTED: "none of the following could be shown here",
    RECOMPUTED: "every metric follows from the codes, with labels that did not come with the result",
    REENCODED: "the encoder, which is here, gives these codes, too",
    RETRAINED: "another set of results has the same runs, done at another time, and their scores differ by noise alone",
}
"""With their meanings, in the order in which they are shown."""


@dataclass(frozen=True)
class Judged:
    """A run, without its numbers if these do not follow, and what was shown of it."""

    run: StoredRun
    tiers: tuple[str, ...] = ()


def judged(runs: Iterable[StoredRun], proof: Recomputation) -> Iterator[Judged]:
    """Every run with its tiers; `proof` says how many videos to encode again, where encoder and dataset are here."""
    recompute = replace(proof, reencoded=0)
    for run in runs:
        if run.record.status != "done":
            yield Judged(run)
            continue
        found = list(recompute(run))
        again = list(proof(run)) if proof.reencoded and not found else []
        wrong = [what for state, what in (*found, *again) if state != "unproven"]
        if wrong:
            yield Judged(unsound(run, wrong[0]))
        elif found:
            yield Judged(run)
        else:
            yield Judged(run, (RECOMPUTED, REENCODED) if proof.reencoded and not again else (RECOMPUTED,))
