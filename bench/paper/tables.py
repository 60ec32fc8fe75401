"""The paper's Tables 1 and 2: measured rows, published rows apart, and the difference where it means one."""

import math

import pandas as pd

from bench.metrics.protocols import choose_protocol
from bench.paper.artefacts import Results
from bench.paper.measured import PROTOCOL, Beside
from bench.report import problems
from bench.report.published import PAPER, PAPER_DATASET
from bench.report.tables import NOTHING, Cell, Table, best_as_shown, number
from bench.text import one_line

DECIMALS = 3
SHORT_REASON = 60
TIES = "worst to best order of ties"


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
    """What a reader must know before comparing: protocol, dataset, seeds, and where the published numbers come from."""
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
    """What stands before a row of published numbers."""
    return f"published: {PAPER_DATASET}" if comparable else f"published: {PAPER_DATASET}, another dataset"


def seeds_phrase(results: Results) -> str:
    """How many seeds, and which."""
    seeds = sorted({run.record.spec.seed for run in results.all})
    if len(seeds) == 1:
        return f"one seed ({seeds[0]})"
    return f"mean ± standard deviation over {len(seeds)} seeds ({', '.join(map(str, seeds))})"


def missing(results: Results, label: str, bits: int) -> str:
    """Why runs of a row have no result; empty where all have one."""
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
