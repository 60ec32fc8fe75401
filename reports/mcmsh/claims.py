"""The paper's claims, checked on the measured numbers."""

import pandas as pd

from bench.report.costs import NOISY
from bench.report.recipe import Results

from ..beside import Beside
from ..claims import best, count
from .cost_table import measured_costs
from .rows import BACKBONES, BTH, LOSSES, MCMSH, WITHOUT_BRANCHES

MATCHES = 0.1
"""Costs that differ by at most this share count as matching; the sentence says so."""
PARTS = {  # which rows of Table 2 hold which structures alone
    LOSSES[3].label: (LOSSES[0].label, LOSSES[1].label),
    LOSSES[4].label: (LOSSES[0].label, LOSSES[2].label),
    LOSSES[5].label: (LOSSES[1].label, LOSSES[2].label),
}


def backbone_claims(shown: Beside) -> list[str]:
    """Each module alone improves on MLP-Mixer; all three together are best."""
    base, *single, whole = (row.label for row in BACKBONES)
    improved, topped = [(label, base) for label in single], [(whole, other) for other in (base, *single)]
    lines = []
    for bits in shown.results.need.bits:
        lines.append(count(f"Each module alone improves on {WITHOUT_BRANCHES.label}", shown, improved, bits))
        lines.append(best("All three together are best", shown, topped, bits))
    return lines


def loss_claims(shown: Beside) -> list[str]:
    """The structures complement each other: a pair is better than each of its parts, all three better than any pair."""
    (bits,) = shown.results.need.bits
    pairs = [(pair, part) for pair, parts in PARTS.items() for part in parts]
    *others, whole = (row.label for row in LOSSES)
    return [
        count("Two structures are better than either alone", shown, pairs, bits),
        best("All three together are best", shown, [(whole, other) for other in others], bits),
    ]


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
