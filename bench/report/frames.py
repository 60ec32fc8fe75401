"""Tidy pandas frames from runs: one row per observation, full precision; tables, plots and CSV files start here."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.report.runs import ReportRun

SCORES = ["dataset", "protocol", "method", "bound", "bits", "seed", "k", "map", "map_best", "map_worst"]
COSTS = [
    "dataset", "method", "bound", "bits", "seed", "machine", "device", "threads", "parameters_trained",
    "parameters_encode", "flops", "encoder_bytes", "code_bytes", "single_batch", "single_ms", "single_lower_ms",
    "single_upper_ms", "batched_batch", "batched_ms", "batched_lower_ms", "batched_upper_ms",
]  # fmt: skip
TRAINING = ["dataset", "method", "bound", "bits", "seed", "machine", "epochs", "fit_seconds", "final_loss"]


def _identify(run: ReportRun) -> dict[str, object]:
    return {
        "dataset": run.dataset,
        "method": run.method,
        "bound": run.record.uses_labels,
        "bits": run.bits,
        "seed": run.record.spec.seed,
    }


def scores(runs: Iterable[ReportRun]) -> pd.DataFrame:
    """mAP@k of every finished run under every protocol, with the values that the best and worst order of ties gives."""
    rows = [
        {
            **_identify(run),
            "protocol": protocol,
            "k": int(k),
            "map": value,
            "map_best": values["map_best"][k],
            "map_worst": values["map_worst"][k],
        }
        for run in runs
        if run.done
        for protocol, values in run.record.metrics.items()
        # Keys of a stored record are ordered as texts: "100" before "20".
        for k, value in sorted(values["map"].items(), key=lambda item: int(item[0]))
    ]
    return pd.DataFrame(rows, columns=SCORES)


def costs(runs: Iterable[ReportRun]) -> pd.DataFrame:
    """What encoding costs, one row per finished run that was measured."""
    rows = [
        {
            **_identify(run),
            "machine": run.machine,
            **measured.model_dump(exclude={"single", "batched", "uncounted_operators"}),
            **{
                f"{name}_{column}": value
                for name, timing in (("single", measured.single), ("batched", measured.batched))
                for column, value in (
                    ("batch", timing.batch),
                    ("ms", timing.median_ms),
                    ("lower_ms", timing.lower_ms),
                    ("upper_ms", timing.upper_ms),
                )
            },
        }
        for run in runs
        if run.done and (measured := run.record.costs) is not None
    ]
    return pd.DataFrame(rows, columns=COSTS)


def training(runs: Iterable[ReportRun]) -> pd.DataFrame:
    """How training went, one row per finished run. Methods without epochs have no number of epochs and no loss."""
    rows = [
        {
            **_identify(run),
            "machine": run.machine,
            "epochs": len(run.record.history) or None,
            "fit_seconds": run.record.durations.get("fit"),
            "final_loss": run.record.history[-1].get("loss") if run.record.history else None,
        }
        for run in runs
        if run.done
    ]
    frame = pd.DataFrame(rows, columns=TRAINING)
    numbers = ["epochs", "fit_seconds", "final_loss"]
    return frame.astype(dict.fromkeys(numbers, float))


def losses(runs: Iterable[ReportRun]) -> pd.DataFrame:
    """The training loss of every epoch of every finished run."""
    rows = [
        {**_identify(run), "epoch": int(row["epoch"]), "loss": row["loss"]}
        for run in runs
        if run.done
        for row in run.record.history
        if "loss" in row
    ]
    return pd.DataFrame(rows, columns=["dataset", "method", "bound", "bits", "seed", "epoch", "loss"])


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
