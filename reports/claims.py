"""Papers' claims as sentences computed from the measured numbers, whichever way they turn out."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.metrics.statistics import holm
from bench.report.runs import seeds_of
from bench.report.significance import ALPHA, OVER_BOTH, OVER_QUERIES

from .beside import Beside, Labels

HEADLINE_K = 20
NOISE_MARK = "≈"
BETTER, WORSE, NOISE, ONE_SEED = "better", "worse", "within noise", "of one seed"
THESE_WEIGHTS = "for these weights"
NOT_SAID = "nothing published to compare"
HOW_COMPARED = (
    f"{NOISE_MARK} and “{NOISE}”: chance can explain the difference (p ≥ {ALPHA}; {OVER_BOTH}; Holm-adjusted over the "
    "comparisons of a sentence, but for “best”, which needs all of them at once)."
)
ONE_SEED_ONLY = (
    f"“{THESE_WEIGHTS[0].upper()}{THESE_WEIGHTS[1:]}”: a single seed was run, so that the comparison, a "
    f"{OVER_QUERIES}, is of the weights that it learned and of nothing else; {NOISE_MARK}: p ≥ {ALPHA}, adjusted "
    "alike. Another seed may turn it round: run several, such as --seeds 0,1,2."
)

Score = Callable[[str, int, int], float]


class Judged(NamedTuple):
    """A comparison of two measured rows: whether the first is better than the second, and by how much."""

    labels: Labels
    k: int
    gain: float
    noise: bool
    outcome: str
    """BETTER, WORSE, NOISE or ONE_SEED."""

    def __str__(self) -> str:
        return f"{self.labels[0]} over {self.labels[1]} {self.gain:+.3f}{NOISE_MARK * self.noise}"


def caution(sentences: Sequence[str]) -> str:
    """An explanation of the words in the sentences; empty where nothing was compared."""
    compared = [sentence for sentence in sentences if "not measured;" not in sentence]
    single = [sentence for sentence in compared if THESE_WEIGHTS in sentence or ONE_SEED in sentence]
    several = [sentence for sentence in compared if THESE_WEIGHTS not in sentence]
    return " ".join([HOW_COMPARED] * bool(several) + [ONE_SEED_ONLY] * bool(single))


def count(claim: str, shown: Beside, pairs: Sequence[Labels], bits: int) -> str:
    """A sentence with the number of pairs whose first row is better than the second."""
    judged = _judge(shown, pairs, bits, [HEADLINE_K])
    start = _start(claim, shown, pairs, bits, [HEADLINE_K])
    said = _said(shown, pairs, bits, [HEADLINE_K])
    in_paper = f"{shown.where} {sum(gain > 0 for gain in said)} of {len(said)}" if said else NOT_SAID
    if not judged:
        return f"{start} not measured; {in_paper}."
    found = Counter(one.outcome for one in judged)
    found["not measured"] = len(pairs) - len(judged)
    if found[ONE_SEED] == len(judged):
        verdict = f"{THESE_WEIGHTS} {sum(one.gain > 0 for one in judged)} of {len(pairs)} higher"
        rest = ["not measured"]
    else:
        share = f"{found[BETTER]} of {len(pairs)} {BETTER}"
        word = "yes" if found[BETTER] == len(pairs) else "in part" if found[BETTER] else "no" if found[WORSE] else ""
        verdict, rest = f"{word or 'not shown'}, {share}", [WORSE, NOISE, ONE_SEED, "not measured"]
    verdict += "".join(f", {found[outcome]} {outcome}" for outcome in rest if found[outcome])
    return f"{start} {verdict} ({', '.join(map(str, judged))}); {in_paper}."


def best(claim: str, shown: Beside, pairs: Sequence[Labels], bits: int, ks: Sequence[int] = (HEADLINE_K,)) -> str:
    """A sentence that says whether the first row, the same in every pair, is above all others, at every k."""
    judged = _judge(shown, pairs, bits, ks, at_once=True)
    start = _start(claim, shown, pairs, bits, ks)
    said = _said(shown, pairs, bits, ks)
    in_paper = f"{shown.where} {'yes' if all(gain > 0 for gain in said) else 'no'}" if said else NOT_SAID
    if not judged:
        return f"{start} not measured; {in_paper}."
    outcomes = {one.outcome for one in judged}
    if outcomes == {ONE_SEED}:
        verdict = f"{THESE_WEIGHTS} {'yes' if all(one.gain > 0 for one in judged) else 'no'}"
    else:
        verdict = "yes" if outcomes == {BETTER} else "no" if WORSE in outcomes else "cannot be told"
    closest = min(judged, key=lambda one: one.gain)
    at = f" at k = {closest.k}" * (len(ks) > 1)
    measured = len({one.labels for one in judged})
    of_all = "" if measured == len(pairs) else f" of the {measured} measured"
    return f"{start} {verdict} ({closest}{at}, the best of the others{of_all}); {in_paper}."


def _start(claim: str, shown: Beside, pairs: Sequence[Labels], bits: int, ks: Sequence[int]) -> str:
    """The claim with what it was checked on: measure, code length and seeds."""
    labels = dict.fromkeys(label for pair in pairs for label in pair)
    seeds = seeds_of(run for label in labels for run in shown.results.done(label, bits))
    named = f", seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}" if seeds else ""
    return f"{claim}, mAP@{', '.join(map(str, ks))} at {bits} bits{named}:"


def _judge(
    shown: Beside, pairs: Sequence[Labels], bits: int, ks: Sequence[int], *, at_once: bool = False
) -> list[Judged]:
    """The pairs that were measured, at each k. `at_once`: the claim holds only if it holds for all of them.

    Such a claim needs no adjustment: that all pass by chance is no more likely than that one of them does.
    """
    known = [
        (pair, k, gain) for k in ks for pair in pairs if not math.isnan(gain := _gain(shown.measured, pair, bits, k))
    ]
    found = shown.evidence([(pair, k) for pair, k, _ in known], bits)
    adjusted = holm([one.p for one in found])
    judged = []
    for (pair, k, gain), (raw, for_seeds), p in zip(known, found, adjusted, strict=True):
        noise = bool((raw if at_once and gain > 0 else p) >= ALPHA)
        outcome = ONE_SEED if not for_seeds else NOISE if noise else BETTER if gain > 0 else WORSE
        judged.append(Judged(pair, k, gain, noise, outcome))
    return judged


def _said(shown: Beside, pairs: Sequence[Labels], bits: int, ks: Sequence[int]) -> list[float]:
    """The published gains, where both numbers were published."""
    gains = [_gain(shown.published, pair, bits, k) for k in ks for pair in pairs]
    return [gain for gain in gains if not math.isnan(gain)]


def _gain(score: Score, pair: Labels, bits: int, k: int) -> float:
    return score(pair[0], bits, k) - score(pair[1], bits, k)
