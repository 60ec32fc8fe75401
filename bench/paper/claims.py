"""The paper's claims as sentences computed from the measured numbers, whichever way they turn out."""

import math
from collections.abc import Callable, Sequence

import pandas as pd

from bench.comparison_quality import ALPHA
from bench.paper.artefacts import BACKBONES, BTH, LOSSES, MCMSH, WITHOUT_BRANCHES, Results
from bench.paper.cost_table import measured_costs
from bench.paper.measured import Beside, Pair
from bench.report.costs import NOISY

HEADLINE_K = 20
MATCHES = 0.1
"""Costs that differ by at most this share count as matching; the sentence says so."""
NOISE_MARK = "≈"
NOISE = (
    f"{NOISE_MARK} marks a difference that chance alone can explain (p ≥ {ALPHA}, Holm-adjusted over all that these "
    "sentences compare; paired randomisation test over the queries and, with several seeds, Welch's t-test over them, "
    "the larger p counting)."
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
    improved, topped = [(label, base) for label in single], [(whole, other) for other in others]
    noise = _noise(shown, improved + topped)
    for bits in shown.results.need.bits:
        lines.append(_count(f"Each module alone improves on {WITHOUT_BRANCHES.label}", shown, improved, bits, noise))
        lines.append(_best("All three together are best", shown, topped, bits, noise))
    return lines


def loss_claims(shown: Beside) -> list[str]:
    """The structures complement each other: a pair is better than each of its parts, all three better than any pair."""
    (bits,) = shown.results.need.bits
    pairs = [(pair, part) for pair, parts in PARTS.items() for part in parts]
    *others, whole = (row.label for row in LOSSES)
    topped = [(whole, other) for other in others]
    noise = _noise(shown, pairs + topped)
    return [
        _count("Two structures are better than either alone", shown, pairs, bits, noise),
        _best("All three together are best", shown, topped, bits, noise),
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


def _noise(shown: Beside, pairs: Sequence[tuple[str, str]]) -> frozenset[Pair]:
    """The pairs whose difference chance alone can explain, of all that a table's sentences compare."""
    return shown.within_noise(
        [
            (*pair, bits)
            for bits in shown.results.need.bits
            for pair in pairs
            if not math.isnan(_gain(shown.measured, *pair, bits))
        ],
        HEADLINE_K,
    )


def _count(
    claim: str, shown: Beside, pairs: Sequence[tuple[str, str]], bits: int, noise: frozenset[Pair]
) -> str:  # fmt: skip
    """How many of the pairs' first rows are better than the second."""
    known = [pair for pair in pairs if not math.isnan(_gain(shown.measured, *pair, bits))]
    in_paper = f"; in the paper {_wins(shown.published, pairs, bits)} of {len(pairs)}"
    start = f"{claim}, mAP@{HEADLINE_K} at {bits} bits:"
    if not known:
        return f"{start} not measured{in_paper}."
    wins = _wins(shown.measured, known, bits)
    verdict = "yes, for" if wins == len(pairs) else "no, for" if wins == 0 else "for"
    unknown = f", {len(pairs) - len(known)} not measured" if len(known) < len(pairs) else ""
    details = ", ".join(f"{pair[0]} over {pair[1]} {_shown_gain(shown, pair, bits, noise)}" for pair in known)
    return f"{start} {verdict} {wins} of {len(pairs)}{unknown} ({details}){in_paper}."


def _best(
    claim: str, shown: Beside, pairs: Sequence[tuple[str, str]], bits: int, noise: frozenset[Pair]
) -> str:  # fmt: skip
    """Is the whole, first of every pair, above all others, and by how much above the next?"""
    start = f"{claim}, mAP@{HEADLINE_K} at {bits} bits:"
    in_paper = f"in the paper {'yes' if _wins(shown.published, pairs, bits) == len(pairs) else 'no'}"
    known = [pair for pair in pairs if not math.isnan(_gain(shown.measured, *pair, bits))]
    if not known:
        return f"{start} not measured; {in_paper}."
    closest = max(known, key=lambda pair: shown.measured(pair[1], bits, HEADLINE_K))
    whole, best = closest
    verdict = "yes" if _gain(shown.measured, whole, best, bits) > 0 else "no"
    of_all = "" if len(known) == len(pairs) else f" of the {len(known)} measured"
    gain = _shown_gain(shown, closest, bits, noise)
    return f"{start} {verdict} ({whole} over {best}, the best of the others{of_all}: {gain}); {in_paper}."


def _gain(score: Score, first: str, second: str, bits: int) -> float:
    return score(first, bits, HEADLINE_K) - score(second, bits, HEADLINE_K)


def _wins(score: Score, pairs: Sequence[tuple[str, str]], bits: int) -> int:
    return sum(_gain(score, first, second, bits) > 0 for first, second in pairs)


def _shown_gain(shown: Beside, pair: tuple[str, str], bits: int, noise: frozenset[Pair]) -> str:
    mark = NOISE_MARK if (*pair, bits) in noise else ""
    return f"{_gain(shown.measured, *pair, bits):+.3f}{mark}"
