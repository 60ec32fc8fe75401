"""The columns of the training table are what their headings say."""

import json
from typing import Any

import pytest

from bench.metrics.codes import Diagnostics
from bench.report.runs import name_runs
from bench.report.tables import Table
from bench.report.training import table as training_table
from bench.store.stored_run import StoredRun


def stored(builder: Any, method: str, seed: int, losses: list[float], fit: float, checkpoint: str) -> StoredRun:
    """A run with this history; durations of other phases are far from that of fitting."""
    run: StoredRun = builder.add(method, 16, seed)
    history = [{"epoch": float(epoch), "loss": loss, "validation_loss": 9.0} for epoch, loss in enumerate(losses)]
    changed = {"history": history, "durations": {"fit": fit, "encode": 1000.0, "evaluate": 2000.0},
               "checkpoint": checkpoint}  # fmt: skip
    again: StoredRun = builder.store.rewrite(run, run.record.model_copy(update=changed), lambda folder: None)
    return again


def cells(table: Table) -> list[dict[str, str]]:
    """The text of every row, by heading."""
    return [
        dict(zip(table.header, (cell.text for cell in row), strict=True)) for row in table.rows
    ]  # fmt: skip


def test_columns_by_hand(builder: Any) -> None:
    kept = "epoch 2 of 3: lowest loss on 5 training videos held out"
    stored(builder, "alpha", 0, [5.0, 4.0, 3.0], 10.0, kept)
    stored(builder, "alpha", 1, [7.0, 6.0, 1.0], 14.0, kept)
    stored(builder, "beta", 0, [0.5], 123.4, "last epoch")
    builder.add("gamma", 16, reason="out of memory")
    table = training_table(name_runs(builder.store.runs()))
    rows = cells(table)
    # Means over two seeds; sample standard deviations √8 and √2.
    expected = [
        {"method": "ALPHA", "bits": "16", "epochs": "3", "fit (s)": "12.0 ± 2.8", "final loss": "2.00 ± 1.41",
         "weights": kept, "seeds": "2", "note": ""},
        {"method": "BETA", "bits": "16", "epochs": "1", "fit (s)": "123", "final loss": "0.500",
         "weights": "last epoch", "seeds": "1", "note": ""},
        {"method": "GAMMA", "bits": "16", "epochs": "–", "fit (s)": "–", "final loss": "–", "weights": "–",
         "seeds": "–"},
    ]  # fmt: skip
    for row, values in zip(rows, expected, strict=True):
        assert row.items() >= values.items()
    assert "out of memory" in rows[2]["note"]
    frame = table.frame.set_index("method")
    assert [frame.loc["ALPHA", name] for name in ("epochs", "fit_seconds", "final_loss")] == [3, 12.0, 2.0]
    assert frame.loc["ALPHA", "fit_seconds_std"] == pytest.approx(8**0.5)
    assert frame.loc["ALPHA", "final_loss_std"] == pytest.approx(2**0.5)


def test_balance_of_the_codes_stands_beside(builder: Any) -> None:
    for seed, (imbalance, entropy, distinct) in enumerate([(0.1, 0.9, 0.5), (0.3, 0.7, 0.7)]):
        run = builder.add("alpha", 16, seed)
        found = Diagnostics(
            constant_bits=0,
            copied_bits=0,
            distinct_codes=distinct,
            bit_imbalance=imbalance,
            bit_entropy=entropy,
            random={},
        )
        builder.store.rewrite(run, run.record.model_copy(update={"diagnostics": found}), lambda folder: None)
    # A record of an earlier version.
    builder.add("beta", 16)
    first, second = cells(training_table(name_runs(builder.store.runs())))
    # Means over two seeds; sample standard deviation √0.02.
    assert [first[name] for name in ("imbalance", "entropy", "distinct codes")] == [
        "0.200 ± 0.141", "0.800 ± 0.141", "0.600 ± 0.141",
    ]  # fmt: skip
    assert [second[name] for name in ("imbalance", "entropy", "distinct codes")] == ["–", "–", "–"]


def test_the_record_counts_epochs_and_fitting_as_they_were(builder: Any) -> None:
    """What the columns are made from is what the record says, in the words of the record."""
    run = stored(builder, "alpha", 0, [2.0, 1.0], 3.5, "last epoch")
    record = json.loads((run.folder / "record.json").read_text())
    assert (len(record["history"]), record["history"][-1]["loss"], record["durations"]["fit"]) == (2, 1.0, 3.5)
    (row,) = cells(training_table(name_runs([run])))
    assert (row["epochs"], row["fit (s)"], row["final loss"]) == ("2", "3.50", "1.00")
