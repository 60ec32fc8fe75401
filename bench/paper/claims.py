"""The paper's claims as sentences computed from the measured numbers, whichever way they turn out."""

import math
from collections.abc import Callable, Sequence

import pandas as pd

from bench.paper.artefacts import BACKBONES, BTH, LOSSES, MCMSH, WITHOUT_BRANCHES, Results
from bench.paper.cost_table import measured_costs
from bench.paper.measured import Beside
from bench.report.costs import NOISY

HEADLINE_K = 20
MATCHES = 0.1
"""Costs that differ by at most this share count as matching; the sentence says so."""
NOISE_MARK = "≈"
NOISE = (
    f"{NOISE_MARK} marks a difference within the noise: its 95 % bootstrap interval over the queries holds 0, or it is "
    "no larger than a standard deviation over the seeds."
)
ONE_SEED = (
    "One seed was run: how far another seed would move these numbers is not known, so small differences prove nothing."
)

Score = Callable[[str, int, int], float]
PARTS = {  # which rows of Table 2 hold which structures alone
    LOSSES[3].label: (LOSSES[0].label, LOSSES[1].label),
    LOSSES[4].label: (LOSSES[0].label, LOSSES[2].label),
    LOSSES[5].label: (LOSSES[1].label, LOSSES[2].label),
}


def backbone_claims(shown: Beside) -> list[str]:
    """Each module alone improves on MLP-Mixer; all three together are best."""
    base, *single, whole = (row.label for row in BACKBONES)
    others = [base, *single]
    lines = []
    for bits in shown.results.need.bits:
        pairs = [(label, base) for label in single]
        lines.append(_count(f"Each module alone improves on {WITHOUT_BRANCHES.label}", shown, pairs, bits))
        lines.append(_best("All three together are best", shown, whole, others, bits))
    return lines


def loss_claims(shown: Beside) -> list[str]:
    """The structures complement each other: a pair is better than each of its parts, all three better than any pair."""
    (bits,) = shown.results.need.bits
    pairs = [(pair, part) for pair, parts in PARTS.items() for part in parts]
    *others, whole = (row.label for row in LOSSES)
    return [
        _count("Two structures are better than either alone", shown, pairs, bits),
        _best("All three together are best", shown, whole, others, bits),
    ]


def caution(shown: Beside, sentences: Sequence[str]) -> str:
    """What to hold against the sentences; empty where nothing was measured."""
    seeds = int(shown.frame["seeds"].max())
    marked = [NOISE] if any(NOISE_MARK in sentence for sentence in sentences) else []
    return " ".join([*marked, ONE_SEED] if seeds == 1 else marked)


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


def _count(claim: str, shown: Beside, pairs: Sequence[tuple[str, str]], bits: int) -> str:
    """How many of the pairs' first rows are better than the second."""
    known = [pair for pair in pairs if not math.isnan(_gain(shown.measured, *pair, bits))]
    in_paper = f"; in the paper {_wins(shown.published, pairs, bits)} of {len(pairs)}"
    start = f"{claim}, mAP@{HEADLINE_K} at {bits} bits:"
    if not known:
        return f"{start} not measured{in_paper}."
    wins = _wins(shown.measured, known, bits)
    verdict = "yes, for" if wins == len(pairs) else "no, for" if wins == 0 else "for"
    unknown = f", {len(pairs) - len(known)} not measured" if len(known) < len(pairs) else ""
    details = ", ".join(f"{first} over {second} {_shown_gain(shown, first, second, bits)}" for first, second in known)
    return f"{start} {verdict} {wins} of {len(pairs)}{unknown} ({details}){in_paper}."


def _best(claim: str, shown: Beside, whole: str, others: Sequence[str], bits: int) -> str:
    """Is the whole above all others, and by how much above the next?"""
    start = f"{claim}, mAP@{HEADLINE_K} at {bits} bits:"
    pairs = [(whole, other) for other in others]
    in_paper = f"in the paper {'yes' if _wins(shown.published, pairs, bits) == len(pairs) else 'no'}"
    known = [other for other in others if not math.isnan(_gain(shown.measured, whole, other, bits))]
    if not known:
        return f"{start} not measured; {in_paper}."
    best = max(known, key=lambda label: shown.measured(label, bits, HEADLINE_K))
    verdict = "yes" if _gain(shown.measured, whole, best, bits) > 0 else "no"
    of_all = "" if len(known) == len(others) else f" of the {len(known)} measured"
    gain = _shown_gain(shown, whole, best, bits)
    return f"{start} {verdict} ({whole} over {best}, the best of the others{of_all}: {gain}); {in_paper}."


def _gain(score: Score, first: str, second: str, bits: int) -> float:
    return score(first, bits, HEADLINE_K) - score(second, bits, HEADLINE_K)


def _wins(score: Score, pairs: Sequence[tuple[str, str]], bits: int) -> int:
    return sum(_gain(score, first, second, bits) > 0 for first, second in pairs)


def _shown_gain(shown: Beside, first: str, second: str, bits: int) -> str:
    mark = NOISE_MARK if shown.within_noise(first, second, bits, HEADLINE_K) else ""
    return f"{_gain(shown.measured, first, second, bits):+.3f}{mark}"
