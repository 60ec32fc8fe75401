"""The table of all that an evaluation stores beside mAP@k; the declarations of `Scores` say what that is."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.quantity import Quantity
from bench.report import frames, problems, quality
from bench.report.frames import OTHER_METRICS
from bench.report.render import NOTHING, Cell, Table, number
from bench.report.runs import ReportRun, protocols_of, rows_by_bits, seeds_of
from bench.text import slug

BY = ("dataset", "protocol", "method", "bound", "bits", "k")


def protocol_groups(runs: Sequence[ReportRun], k: int) -> list[list[str]]:
    """Protocols that give the same values here stand together, in order: one table serves them all.

    AP's divisor, by which `paper` and `strict` differ wherever the queries are not in the gallery, enters none of these
    metrics.
    """
    observed = frames.other_metrics(runs, k)
    groups: list[tuple[pd.DataFrame, list[str]]] = []
    for protocol in protocols_of(runs):
        values = quality.select(observed, protocol=protocol).drop(columns="protocol").reset_index(drop=True)
        same = next((members for other, members in groups if other.equals(values)), None)
        if same is None:
            groups.append((values, [protocol]))
        else:
            same.append(protocol)
    return [members for _, members in groups]


def table(runs: Sequence[ReportRun], protocols: Sequence[str], k: int) -> Table:
    """The metrics at cut-off `k`, those of the whole ranking, and those within radius 2. `runs`: one dataset.

    `protocols` is one of `protocol_groups`: they give the same values.
    """
    observed = quality.select(frames.other_metrics(runs, k), protocol=protocols[0])
    frame = frames.over_seeds(observed, BY, spread=list(OTHER_METRICS))
    several_seeds = bool((frame["seeds"] > 1).any())
    # Records of earlier versions lack what was added since.
    shown = {name: found for name, found in OTHER_METRICS.items() if frame.empty or frame[name].notna().any()}
    why = problems.notes(runs)
    rows = []
    for method, bits in rows_by_bits(runs):
        found = quality.select(frame, method=method, bits=bits)
        cells = [Cell(method), Cell(str(bits))]
        if found.empty:
            cells += [Cell(NOTHING)] * (len(shown) + several_seeds)
        else:
            row = found.iloc[0]
            for name, quantity in shown.items():
                shape = share if quantity.unit == "%" else number
                cells.append(Cell(shape(row[name], row[f"{name}_std"])))
            cells += [Cell(str(row["seeds"]))] * several_seeds
        rows.append([*cells, Cell(why.get((method, bits), ""))])
    header = ["method", "bits", *(quantity.title.replace("@k", f"@{k}") for quantity in shown.values())]
    header += ["seeds"] * several_seeds + ["note"]
    if not why:
        header, rows = header[:-1], [row[:-1] for row in rows]
    return Table(
        name=f"{runs[0].dataset}-{slug(protocols[0])}-other-metrics",
        caption=f"Other metrics on {runs[0].dataset_title}, protocol {' and '.join(protocols)}.",
        header=header,
        rows=rows,
        frame=frame,
        words=frozenset({"note"}),
        notes=(_note(runs, protocols, shown.values(), several_seeds),),
    )


def curves(runs: Sequence[ReportRun], protocol: str) -> pd.DataFrame:
    """Precision and recall within every Hamming radius, over seeds. `runs`: one dataset."""
    by = ("dataset", "protocol", "method", "bound", "bits", "radius")
    return frames.over_seeds(frames.precision_recall(runs, protocol), by, spread=["precision"], mean=["recall"])


def share(mean: float, std: float = float("nan")) -> str:
    """`12.5 %`, or `12.5 ± 0.4 %`; a dash where there is no value."""
    shown = number(100 * mean, 100 * std, decimals=1)
    return shown if shown == NOTHING else f"{shown} %"


def _note(
    runs: Sequence[ReportRun], protocols: Sequence[str], shown: Iterable[Quantity], several_seeds: bool
) -> str:  # fmt: skip
    texts = [quality.protocol_sentence(runs, protocol) for protocol in protocols]
    if len(protocols) > 1:
        texts.append("These metrics come out the same under each.")
    if several_seeds:
        texts.append(quality.seeds_sentence(seeds_of(runs)))
    texts += [quantity.note for quantity in shown if quantity.note]
    return " ".join(texts)
