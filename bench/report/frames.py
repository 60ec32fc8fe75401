"""Tidy pandas frames from runs: one row per observation, full precision; tables, plots and CSV files start here."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.base.quantity import quantities
from bench.metrics.scores import Scores
from bench.report.runs import ReportRun

SCORES = ["dataset", "protocol", "method", "bound", "bits", "seed", "k", "map", "map_best", "map_worst"]
OTHER_METRICS = {name: found for name, found in quantities(Scores).items() if name not in SCORES}
"""All that an evaluation gives beside mAP@k, in the order of the table."""
PRECISION_RECALL = ["dataset", "protocol", "method", "bound", "bits", "seed", "radius", "recall", "precision"]
LOSSES = ["dataset", "method", "bound", "bits", "seed", "epoch", "loss"]


def identify(run: ReportRun) -> dict[str, object]:
    """The columns that every frame starts with."""
    return {
        "dataset": run.dataset,
        "method": run.method,
        "bound": run.record.bound,
        "bits": run.bits,
        "seed": run.record.spec.seed,
    }


def scores(runs: Iterable[ReportRun]) -> pd.DataFrame:
    """mAP@k of every finished run under every protocol, with the values that the best and worst order of ties gives.

    Where there are no labels the column `map` holds recall@k, and there are no such values.
    """
    rows = [
        {
            **identify(run),
            "protocol": protocol,
            "k": k,
            "map": value,
            **{
                end: getattr(found, end)[k] if found.protocol.measure == "mAP" else None
                for end in ("map_best", "map_worst")
            },
        }
        for run in runs
        if run.done
        for protocol, found in run.record.metrics.items()
        for k, value in found.compared.items()
    ]
    return pd.DataFrame(rows, columns=SCORES).astype({"map_best": float, "map_worst": float})


def other_metrics(runs: Iterable[ReportRun], k: int) -> pd.DataFrame:
    """The metrics beside mAP@k of every finished run under every protocol; those with a cut-off at `k`.

    NaN where a record of an earlier version lacks one, or where there are no codes.
    """
    rows = [
        {
            **identify(run),
            "protocol": protocol,
            "k": k,
            **{name: value[k] if isinstance(value, dict) else value for name, value in values.items()},
        }
        for run in runs
        if run.done
        for protocol, found in run.record.metrics.items()
        if k in found.map
        for values in [{name: getattr(found, name) for name in OTHER_METRICS}]
    ]
    frame = pd.DataFrame(rows, columns=["dataset", "protocol", "method", "bound", "bits", "seed", "k", *OTHER_METRICS])
    return frame.astype(dict.fromkeys(OTHER_METRICS, float))


def precision_recall(runs: Iterable[ReportRun], protocol: str) -> pd.DataFrame:
    """Mean precision and recall within every Hamming radius, of every finished run with codes under one protocol."""
    curves = [
        ({**identify(run), "protocol": protocol}, found.precision_recall)
        for run in runs
        if run.done and (found := run.record.metrics.get(protocol)) and found.precision_recall
    ]
    return _unfolded(
        [(same, {"radius": range(len(curve.recall)), **curve._asdict()}) for same, curve in curves], PRECISION_RECALL
    )


def losses(runs: Iterable[ReportRun]) -> pd.DataFrame:
    """The training loss of every epoch of every finished run."""
    trained = [(run, [row for row in run.record.history if "loss" in row]) for run in runs if run.done]
    return _unfolded(
        [
            (identify(run), {"epoch": [int(row["epoch"]) for row in rows], "loss": [row["loss"] for row in rows]})
            for run, rows in trained
            if rows
        ],
        LOSSES,
    )


def over_seeds(frame: pd.DataFrame, by: Sequence[str], spread: Sequence[str], mean: Sequence[str] = ()) -> pd.DataFrame:
    """One row per group, in order of first appearance: `seeds`, `<name>` (the mean) and `<name>_std` of `spread`.

    Of the columns in `mean` only the mean. The standard deviation is that of a sample (n - 1); empty for one seed.
    """
    groups = frame.groupby(list(by), sort=False, dropna=False)
    columns: dict[str, pd.Series] = {"seeds": groups["seed"].nunique()}
    for name in spread:
        columns[name] = groups[name].mean()
        columns[f"{name}_std"] = groups[name].std(ddof=1)
    for name in mean:
        columns[name] = groups[name].mean()
    return pd.DataFrame(columns).reset_index()


def _unfolded(
    parts: Sequence[tuple[dict[str, object], dict[str, Any]]], columns: list[str]
) -> pd.DataFrame:  # fmt: skip
    """A row for every entry of the lists of every part, beside the values that hold for the whole part.

    Long lists of many runs are joined as arrays: a dictionary for every row would take seconds.
    """
    if not parts:
        return pd.DataFrame(columns=columns)
    lengths = [len(next(iter(lists.values()))) for _, lists in parts]
    same = pd.DataFrame([values for values, _ in parts])
    frame = same.loc[np.repeat(same.index, lengths)].reset_index(drop=True)
    for name in parts[0][1]:
        frame[name] = np.concatenate([np.asarray(lists[name]) for _, lists in parts])
    return frame[columns]
