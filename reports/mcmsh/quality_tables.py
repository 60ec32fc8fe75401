"""The paper's Tables 1 and 2: measured mAP@k of every row, the published one, and the difference where it means one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.base.text import one_line, slug
from bench.data.dataset import Summary
from bench.metrics.protocols import choose_protocol
from bench.metrics.statistics import Evidence, evidence
from bench.report import problems
from bench.report.published import PAPER, PAPER_DATASET, paper_scores
from bench.report.recipe import Results
from bench.report.runs import ReportRun
from bench.report.significance import of_seeds
from bench.report.tables import NOTHING, Cell, Table, best_as_shown, number

PROTOCOL = "paper"
"""The protocol of all published numbers."""
PAPER_SIZES = {"query_videos": 45_600, "gallery_videos": 45_600, "frames": 25, "dimensions": 4096, "classes": 239}
DECIMALS = 3
SHORT_REASON = 60
TIES = "worst to best order of ties"


def like_with_like(summary: Summary) -> bool:
    """Whether this is the dataset of the paper's tables, under its protocol (the test set searched against itself).

    Its name alone would let a part of it pass, or other features.
    """
    named = slug(summary.name) == slug(PAPER_DATASET) and summary.self_search and not summary.stand_in
    return named and all(getattr(summary, name) == size for name, size in PAPER_SIZES.items())


@dataclass(frozen=True)
class Beside:
    """Mean over seeds of mAP@k, and what the paper's table says.

    `frame` has a row for every bits, label and k: measured, measured_std (of a sample; empty for one seed),
    measured_worst and measured_best (in the worst and the best order of ties), seeds, published, difference
    (measured − published; empty unless the dataset is the paper's).
    """

    results: Results
    frame: pd.DataFrame
    comparable: bool

    def measured(self, label: str, bits: int, k: int) -> float:
        """NaN where nothing was measured."""
        return self._cell("measured", label, bits, k)

    def published(self, label: str, bits: int, k: int) -> float:
        return self._cell("published", label, bits, k)

    def _cell(self, column: str, label: str, bits: int, k: int) -> float:
        frame = self.frame
        return float(frame.loc[(frame["label"] == label) & (frame["bits"] == bits) & (frame["k"] == k), column].iloc[0])

    @property
    def ks(self) -> list[int]:
        return sorted(int(k) for k in self.frame["k"].unique())

    def evidence(self, pairs: Sequence[tuple[str, str]], bits: int, k: int) -> list[Evidence]:
        """p-values of whether two rows, by their labels, differ; 1 for rows without values per query."""
        runs = {label: self.results.done(label, bits) for pair in pairs for label in pair}
        values = {label: of_seeds(found, PROTOCOL, k) for label, found in runs.items()}
        known = {
            (first, second): (one, other)
            for first, second in pairs
            if (one := values[first]) is not None and (other := values[second]) is not None
        }
        tested = dict(zip(known, evidence(list(known.values())), strict=True))
        return [
            tested.get(pair) or Evidence(1.0, for_seeds=min(len(runs[label]) for label in pair) > 1) for pair in pairs
        ]


def beside(results: Results, table: int, comparable: bool) -> Beside:
    """Measured scores of the rows of the paper's Table 1 or 2 with the published ones."""
    rows = []
    for cell in paper_scores(table):
        runs = results.done(cell.label, cell.bits)
        values, *ends = (_values(runs, cell.k, table) for table in ("map", "map_worst", "map_best"))
        mean, worst, best = (float(np.mean(found)) if found else math.nan for found in (values, *ends))
        rows.append(
            {
                "bits": cell.bits,
                "label": cell.label,
                "k": cell.k,
                "measured": mean,
                "measured_std": float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
                "measured_worst": worst,
                "measured_best": best,
                "seeds": len(values),
                "published": cell.map,
                "published_dataset": PAPER_DATASET,
                "difference": mean - cell.map if comparable else math.nan,
            }
        )
    frame = pd.DataFrame(rows).sort_values("bits", kind="stable", ignore_index=True)
    return Beside(results, frame, comparable)


def _values(runs: list[ReportRun], k: int, table: str = "map") -> list[float]:
    found = [getattr(scores, table).get(k) for run in runs if (scores := run.record.metrics.get(PROTOCOL))]
    return [value for value in found if value is not None]


def backbone_table(shown: Beside) -> Table:
    """Table 1: five backbones at 32 and 64 bits."""
    return _quality_table(shown, 1, "backbone", "Backbones with the losses of MCMSH")


def loss_table(shown: Beside) -> Table:
    """Table 2: the losses of the three structures alone, in pairs and together, at 64 bits."""
    return _quality_table(shown, 2, "loss", "Structures that the losses preserve, on the backbone MC-MLP")


def _quality_table(shown: Beside, table: int, what: str, caption: str) -> Table:
    frame, ks = shown.frame, shown.ks
    several_lengths = frame["bits"].nunique() > 1
    best = _best(frame)
    rows = []
    for (bits, label), group in frame.groupby(["bits", "label"], sort=False):
        by_k = group.set_index("k").reindex(ks)
        head = [Cell(str(label)), *[Cell(str(bits))] * several_lengths]
        blank = [Cell("")] * len(head)
        measured = [
            Cell(number(by_k["measured"][k], by_k["measured_std"][k], DECIMALS), bold=(bits, k, label) in best)
            for k in ks
        ]
        note = missing(shown.results, str(label), int(str(bits)))
        rows.append([*head, Cell("measured"), *measured, Cell(note)])
        ties = [_ties(by_k["measured_worst"][k], by_k["measured_best"][k]) for k in ks]
        if any(ties):
            rows.append([*blank, Cell(TIES), *(Cell(text or NOTHING) for text in ties), Cell("")])
        published = [Cell(number(by_k["published"][k], decimals=DECIMALS)) for k in ks]
        rows.append([*blank, Cell(published_label(shown.comparable)), *published, Cell("")])
        if shown.comparable:
            differences = [Cell(signed(by_k["difference"][k], DECIMALS)) for k in ks]
            rows.append([*blank, Cell("difference"), *differences, Cell("")])
    header = [what, *["bits"] * several_lengths, "numbers", *(f"mAP@{k}" for k in ks), "note"]
    if not any(row[-1].text for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    lengths = " and ".join(map(str, sorted(frame["bits"].unique())))
    return Table(
        name=f"table{table}",
        caption=f"{caption}, {lengths} bits{_dataset_phrase(shown.results)} (Table {table} of the paper).",
        header=header,
        rows=rows,
        frame=frame,
        words=frozenset({"numbers", "note"}),
        notes=(" ".join([provenance(shown.results, shown.comparable, table), "Bold: best of the measured rows."]),),
    )


def _ties(worst: float, best: float) -> str:
    """From the worst to the best order of ties; empty where both round to the same."""
    shown = [number(value, decimals=DECIMALS) for value in (worst, best)]
    return "" if shown[0] == shown[1] else "–".join(shown)


def provenance(results: Results, comparable: bool, table: int) -> str:
    """Conditions of a comparison: protocol, dataset, seeds, and the source of the published numbers."""
    texts = [f"Protocol {PROTOCOL}: {choose_protocol(PROTOCOL).description}"]
    if results.all:
        first = results.all[0]
        texts.append(f"Measured on {one_line(first.dataset_title)}, {seeds_phrase(results)}.")
        chosen = sorted({run.record.checkpoint for run in results.all if run.done and run.record.history})
        texts += [f"Weights: {one_line(', '.join(chosen))}; never chosen by test labels."] if chosen else []
    else:
        texts.append("Nothing was measured.")
    texts.append(f"Published: {PAPER}, Table {table}, on {PAPER_DATASET}, one number without a spread.")
    if comparable:
        texts.append(
            "Difference: measured minus published; the paper leaves the order of equal distances to an unstable sort."
        )
    else:
        texts.append(
            f"{PAPER_DATASET} is another dataset: its numbers are for reference and do not compare with these."
        )
    return " ".join(texts)


def published_label(comparable: bool) -> str:
    """The label of a row of published numbers."""
    return f"published: {PAPER_DATASET}" if comparable else f"published: {PAPER_DATASET}, another dataset"


def seeds_phrase(results: Results) -> str:
    """The number of seeds, and the seeds."""
    seeds = sorted({run.record.spec.seed for run in results.all})
    if len(seeds) == 1:
        return f"one seed ({seeds[0]})"
    return f"mean ± standard deviation over {len(seeds)} seeds ({', '.join(map(str, seeds))})"


def missing(results: Results, label: str, bits: int) -> str:
    """The reasons why runs of a row have no result; empty where all have one."""
    runs = results.runs.get((label, bits), ())
    if not runs:
        return "not run"
    return "; ".join(dict.fromkeys(problems.why(run, SHORT_REASON) for run in runs if not run.done))


def signed(value: float, decimals: int) -> str:
    """`+0.012`, `-0.003`; a dash where there is no value."""
    return NOTHING if math.isnan(value) else f"{value:+.{decimals}f}"


def _dataset_phrase(results: Results) -> str:
    return f" on {one_line(results.all[0].dataset_title)}" if results.all else ""


def _best(frame: pd.DataFrame) -> set[tuple[int, int, str]]:
    """(bits, k, label) of the measured scores that, as shown, are the highest."""
    known = frame.dropna(subset="measured")
    best = known[best_as_shown(known["measured"], [known["bits"], known["k"]], DECIMALS)]
    return set(zip(best["bits"], best["k"], best["label"], strict=True))
