"""The columns of the training table are what their headings say."""

import json
from typing import Any

import pytest

from bench.report.costs import training_table
from bench.report.runs import name_runs
from bench.store.stored_run import StoredRun


def stored(builder: Any, method: str, seed: int, losses: list[float], fit: float, checkpoint: str) -> StoredRun:
    """A run with this history; durations of other phases are far from that of fitting."""
    run: StoredRun = builder.add(method, 16, seed)
    history = [{"epoch": float(epoch), "loss": loss, "validation_loss": 9.0} for epoch, loss in enumerate(losses)]
    changed = {"history": history, "durations": {"fit": fit, "encode": 1000.0, "evaluate": 2000.0},
               "checkpoint": checkpoint}  # fmt: skip
    again: StoredRun = builder.store.rewrite(run, run.record.model_copy(update=changed), lambda folder: None)
    return again


def test_columns_by_hand(builder: Any) -> None:
    kept = "epoch 2 of 3: lowest loss on 5 training videos held out"
    stored(builder, "alpha", 0, [5.0, 4.0, 3.0], 10.0, kept)
    stored(builder, "alpha", 1, [7.0, 6.0, 1.0], 14.0, kept)
    stored(builder, "beta", 0, [0.5], 123.4, "last epoch")
    builder.add("gamma", 16, reason="out of memory")
    table = training_table(name_runs(builder.store.runs()))
    assert list(table.header) == ["method", "bits", "epochs", "fit (s)", "final loss", "weights", "seeds", "note"]
    rows = [[cell.text for cell in row] for row in table.rows]
    # Means over two seeds; sample standard deviations √8 and √2.
    assert rows[0] == ["ALPHA", "16", "3", "12.0 ± 2.8", "2.00 ± 1.41", kept, "2", ""]
    assert rows[1] == ["BETA", "16", "1", "123", "0.500", "last epoch", "1", ""]
    assert rows[2][:7] == ["GAMMA", "16", "–", "–", "–", "–", "–"]
    assert "out of memory" in rows[2][7]
    frame = table.frame.set_index("method")
    assert [frame.loc["ALPHA", name] for name in ("epochs", "fit_seconds", "final_loss")] == [3, 12.0, 2.0]
    assert frame.loc["ALPHA", "fit_seconds_std"] == pytest.approx(8**0.5)
    assert frame.loc["ALPHA", "final_loss_std"] == pytest.approx(2**0.5)


def test_the_record_counts_epochs_and_fitting_as_they_were(builder: Any) -> None:
    """What the columns are made from is what the record says, in the words of the record."""
    run = stored(builder, "alpha", 0, [2.0, 1.0], 3.5, "last epoch")
    record = json.loads((run.folder / "record.json").read_text())
    assert (len(record["history"]), record["history"][-1]["loss"], record["durations"]["fit"]) == (2, 1.0, 3.5)
    (row,) = training_table(name_runs([run])).rows
    assert [cell.text for cell in row][2:5] == ["2", "3.50", "1.00"]
