"""Tables show the columns that say something; equal protocols, and equal notes of a section, are shown once."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.metrics import PROTOCOLS
from bench.report.compose import compose
from bench.report.document import Document
from bench.report.figures import settings
from bench.report.runs import name_runs
from bench.report.tables import MACHINE, METHOD, SEEDS, Column, Table, best_as_shown, note_column, rows_for
from bench.report.terminal import summary
from bench.store.store import Store
from tests.report.conftest import Builder


class EqualBuilder(Builder):
    """Runs that score the same under both protocols."""

    def scores(self, level: float, bits: int, generator: np.random.Generator) -> tuple[Any, dict[str, Any]]:
        metrics, arrays = super().scores(level, bits, generator)
        metrics["strict"] = metrics["paper"] | {"protocol": PROTOCOLS["strict"]}
        arrays |= {name.replace("paper", "strict"): values for name, values in arrays.items() if "paper" in name}
        return metrics, arrays


@pytest.fixture
def equal(builder: Builder) -> EqualBuilder:
    found = EqualBuilder(Store(builder.store.root))
    for bits in (16, 32, 64):
        for method, level in (("alpha", 0.5), ("beta", 0.3)):
            found.add(method, bits, level=level)
    return found


def composed(builder: Builder) -> Document:
    with settings():
        return compose(name_runs(builder.store.runs()))


def shown(text: str) -> str:
    """What a reader sees before unfolding anything."""
    return re.sub(r"<details><summary>(.*?)</summary>.*?</details>", r"\1", text, flags=re.DOTALL)


def row(method: str, bits: int, machine: str, seeds: int) -> dict[str, Any]:
    return {"method": method, "bits": bits, "machine": machine, "seeds": seeds}


@pytest.mark.parametrize(
    ("rows", "titles"),
    [
        ([row("a", 8, "x", 1), row("b", 8, "x", 1)], ["method"]),
        ([row("a", 8, "x", 1), row("b", 8, "y", 1)], ["method", "machine"]),
        ([row("a", 8, "x", 2), row("b", 8, "x", 1)], ["method", "seeds"]),
        ([row("a", 8, "x", 1), row("c", 8, "x", 1)], ["method", "note"]),
    ],
)
def test_columns_that_say_nothing_are_left_out(rows: list[dict[str, Any]], titles: list[str]) -> None:
    columns = [METHOD, MACHINE, SEEDS, note_column({("c", 8): "failed"})]
    assert Table.of(columns, rows).header == titles


def test_rows_without_values_have_dashes() -> None:
    frame = pd.DataFrame([row("a", 8, "x", 2), row("a", 16, "y", 2)])
    rows = rows_for([("a", 8), ("b", 8), ("a", 16)], frame)
    table = Table.of([METHOD, Column("bits", lambda row: str(row["bits"])), MACHINE, SEEDS], rows)
    assert [[cell.text for cell in cells] for cells in table.rows] == [
        ["a", "8", "x", "2"],
        ["b", "8", "–", "–"],
        ["a", "16", "y", "2"],
    ]


def test_what_is_shown_alike_is_best_alike() -> None:
    values = pd.Series([0.5004, 0.4996, 0.4994, float("nan"), 0.1])
    groups = pd.Series([1, 1, 1, 1, 2])
    assert best_as_shown(values, [groups], 3).tolist() == [True, True, False, False, True]


def test_protocols_that_score_alike_share_tables_and_figures(equal: EqualBuilder) -> None:
    document = composed(equal)
    assert "Protocols paper and strict give the same numbers here; they are shown once." in document.text
    names = [table.name for table in document.tables] + [plot.name for plot in document.plots]
    assert not [name for name in names if "strict" in name]
    (overview,) = [table for table in document.tables if table.name == "toy-protocols"]
    assert list(overview.header) == ["method", "bits", "mAP@20", "95% CI"]
    for protocol in PROTOCOLS.values():
        assert any(protocol.description in note for note in overview.notes)
    assert "mAP under protocols paper and strict (the same here)" in summary(equal.store.runs())


def test_protocols_that_differ_anywhere_do_not(equal: EqualBuilder) -> None:
    Builder(equal.store).add("gamma", 16)
    document = composed(equal)
    assert "the same numbers" not in document.text
    assert {"toy-paper-16-bits", "toy-strict-16-bits"} <= {table.name for table in document.tables}


def test_a_note_stands_once_in_a_section(equal: EqualBuilder) -> None:
    equal.add("alpha", 16, dataset="other", dataset_title="Other videos")
    document = composed(equal)
    notes = [note for table in document.tables if table.name.startswith("toy-") for note in table.notes]
    assert len(notes) > len(set(notes))
    sections = [part for part in document.text.split("\n## ") if part.startswith(("All", "Toy", "Other"))]
    for note in set(notes):
        if "Protocol paper" in note:
            assert [section.count(note) for section in sections] == [1, 1, 1]


def test_a_report_of_two_methods_and_three_lengths_fits_on_two_screens(equal: EqualBuilder) -> None:
    text = composed(equal).text
    assert len([line for line in shown(text).splitlines() if line.strip()]) < 80
    assert text.count("<details>") == text.count("</details>")


def test_unfolded_details_hold_every_table(equal: EqualBuilder) -> None:
    document = composed(equal)
    hidden = set(re.findall(r"tables/([^)]+)\.csv", document.text)) - set(
        re.findall(r"tables/([^)]+)\.csv", shown(document.text))
    )  # fmt: skip
    assert {"toy-paper-16-bits", "toy-protocols", "toy-encoding-time", "toy-training", "environment"} <= hidden
    assert {"all-paper-at-20", "toy-cost"}.isdisjoint(hidden)
