"""The paper's claims as sentences computed from the measured numbers, whichever way they turn out."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pandas as pd

from bench.metrics.statistics import holm
from bench.report.costs import NOISY
from bench.report.recipe import Results
from bench.report.runs import seeds_of
from bench.report.significance import ALPHA, OVER_BOTH, OVER_QUERIES

from .cost_table import measured_costs
from .quality_tables import Beside
from .rows import BACKBONES, BTH, LOSSES, MCMSH, WITHOUT_BRANCHES

HEADLINE_K = 20
MATCHES = 0.1
"""Costs that differ by at most this share count as matching; the sentence says so."""
NOISE_MARK = "≈"
BETTER, WORSE, NOISE, ONE_SEED = "better", "worse", "within noise", "of one seed"
THESE_WEIGHTS = "for these weights"
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
Labels = tuple[str, str]
PARTS = {  # which rows of Table 2 hold which structures alone
    LOSSES[3].label: (LOSSES[0].label, LOSSES[1].label),
    LOSSES[4].label: (LOSSES[0].label, LOSSES[2].label),
    LOSSES[5].label: (LOSSES[1].label, LOSSES[2].label),
}


class Judged(NamedTuple):
    """A comparison of two measured rows: whether the first is better than the second, and by how much."""

    labels: Labels
    gain: float
    noise: bool
    outcome: str
    """BETTER, WORSE, NOISE or ONE_SEED."""

    def __str__(self) -> str:
        return f"{self.labels[0]} over {self.labels[1]} {self.gain:+.3f}{NOISE_MARK * self.noise}"


def backbone_claims(shown: Beside) -> list[str]:
    """Each module alone improves on MLP-Mixer; all three together are best."""
    base, *single, whole = (row.label for row in BACKBONES)
    improved, topped = [(label, base) for label in single], [(whole, other) for other in (base, *single)]
    lines = []
    for bits in shown.results.need.bits:
        lines.append(_count(f"Each module alone improves on {WITHOUT_BRANCHES.label}", shown, improved, bits))
        lines.append(_best("All three together are best", shown, topped, bits))
    return lines


def loss_claims(shown: Beside) -> list[str]:
    """The structures complement each other: a pair is better than each of its parts, all three better than any pair."""
    (bits,) = shown.results.need.bits
    pairs = [(pair, part) for pair, parts in PARTS.items() for part in parts]
    *others, whole = (row.label for row in LOSSES)
    return [
        _count("Two structures are better than either alone", shown, pairs, bits),
        _best("All three together are best", shown, [(whole, other) for other in others], bits),
    ]


def caution(sentences: Sequence[str]) -> str:
    """An explanation of the words in the sentences; empty where nothing was compared."""
    compared = [sentence for sentence in sentences if "not measured;" not in sentence]
    single = [sentence for sentence in compared if THESE_WEIGHTS in sentence or ONE_SEED in sentence]
    several = [sentence for sentence in compared if THESE_WEIGHTS not in sentence]
    return " ".join([HOW_COMPARED] * bool(several) + [ONE_SEED_ONLY] * bool(single))


def cost_claims(results: Results) -> list[str]:
    """MCMSH matches BTH's cost and encodes faster."""
    frame = measured_costs(results)
    found = {label: frame[frame["label"] == label] for label in (MCMSH.label, BTH.label)}
    if any(rows.empty for rows in found.values()):
        return ["MCMSH matches BTH's cost and encodes faster: not measured."]
    ours, theirs = (rows.iloc[0] for rows in found.values())
    lines = [
        _matching("FLOPs", "flops", ours, theirs),
        _matching("parameters to encode", "parameters_encode", ours, theirs),
    ]
    if frame["machine"].nunique() > 1:
        return [*lines, "MCMSH encodes faster than BTH: cannot be said, the times come from different machines."]
    return [*lines, *(_faster(name, ours, theirs) for name in ("single", "batched"))]


def _matching(what: str, column: str, ours: pd.Series, theirs: pd.Series) -> str:
    if column == "flops" and (ours["flops_at_least"] or theirs["flops_at_least"]):
        return f"MCMSH matches BTH's cost in {what}: cannot be said, not all of it is counted."
    ratio = ours[column] / theirs[column]
    verdict = "yes" if abs(ratio - 1) <= MATCHES else "no, it needs fewer" if ratio < 1 else "no, it needs more"
    return f"MCMSH matches BTH's cost in {what} (within {MATCHES:.0%}): {verdict} ({ratio:.2f} times BTH's)."


def _faster(name: str, ours: pd.Series, theirs: pd.Series) -> str:
    fast, slow = ours[f"{name}_ms"], theirs[f"{name}_ms"]
    apart = (
        ours[f"{name}_upper_ms"] < theirs[f"{name}_lower_ms"] or ours[f"{name}_lower_ms"] > theirs[f"{name}_upper_ms"]
    )
    noisy = ours[f"{name}_noisy"] or theirs[f"{name}_noisy"]
    verdict = "cannot be said" if noisy else "yes" if fast < slow else "no"
    doubt = f"; {NOISY}" if noisy else "" if apart else "; the quartiles overlap, so this is within the noise"
    sizes = sorted({int(row[f"{name}_batch"]) for row in (ours, theirs)})
    batch = f"batch {' and '.join(map(str, sizes))}"
    return f"MCMSH encodes faster than BTH, {batch}: {verdict} ({fast:.3g} against {slow:.3g} ms a video{doubt})."


def _count(claim: str, shown: Beside, pairs: Sequence[Labels], bits: int) -> str:
    """A sentence with the number of pairs whose first row is better than the second."""
    judged = _judge(shown, pairs, bits)
    start = _start(claim, shown, pairs, bits)
    in_paper = f"in the paper {sum(gain > 0 for gain in _gains(shown.published, pairs, bits))} of {len(pairs)}"
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


def _best(claim: str, shown: Beside, pairs: Sequence[Labels], bits: int) -> str:
    """A sentence that says whether the first row, the same in every pair, is above all others."""
    judged = _judge(shown, pairs, bits, at_once=True)
    start = _start(claim, shown, pairs, bits)
    in_paper = f"in the paper {'yes' if all(gain > 0 for gain in _gains(shown.published, pairs, bits)) else 'no'}"
    if not judged:
        return f"{start} not measured; {in_paper}."
    outcomes = {one.outcome for one in judged}
    if outcomes == {ONE_SEED}:
        verdict = f"{THESE_WEIGHTS} {'yes' if all(one.gain > 0 for one in judged) else 'no'}"
    else:
        verdict = "yes" if outcomes == {BETTER} else "no" if WORSE in outcomes else "cannot be told"
    closest = min(judged, key=lambda one: one.gain)
    of_all = "" if len(judged) == len(pairs) else f" of the {len(judged)} measured"
    return f"{start} {verdict} ({closest}, the best of the others{of_all}); {in_paper}."


def _start(claim: str, shown: Beside, pairs: Sequence[Labels], bits: int) -> str:
    """The claim with what it was checked on: measure, code length and seeds."""
    labels = dict.fromkeys(label for pair in pairs for label in pair)
    seeds = seeds_of(run for label in labels for run in shown.results.done(label, bits))
    named = f", seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}" if seeds else ""
    return f"{claim}, mAP@{HEADLINE_K} at {bits} bits{named}:"


def _judge(shown: Beside, pairs: Sequence[Labels], bits: int, *, at_once: bool = False) -> list[Judged]:
    """The pairs that were measured. `at_once`: the claim holds only if it holds for every pair.

    Such a claim needs no adjustment: that all pairs pass by chance is no more likely than that one of them does.
    """
    gains = dict(zip(pairs, _gains(shown.measured, pairs, bits), strict=True))
    known = [pair for pair, gain in gains.items() if not math.isnan(gain)]
    found = shown.evidence(known, bits, HEADLINE_K)
    adjusted = holm([one.p for one in found])
    judged = []
    for pair, (raw, for_seeds), p in zip(known, found, adjusted, strict=True):
        gain = gains[pair]
        noise = bool((raw if at_once and gain > 0 else p) >= ALPHA)
        outcome = ONE_SEED if not for_seeds else NOISE if noise else BETTER if gain > 0 else WORSE
        judged.append(Judged(pair, gain, noise, outcome))
    return judged


def _gains(score: Score, pairs: Sequence[Labels], bits: int) -> list[float]:
    return [score(first, bits, HEADLINE_K) - score(second, bits, HEADLINE_K) for first, second in pairs]
