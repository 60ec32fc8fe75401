"""The opening sentences say what the tables say, and claim no more."""

from typing import Any

import pandas as pd
import pytest

from bench.report.compose import compose
from bench.report.figures import settings
from bench.report.findings import findings
from bench.report.runs import name_runs

NONE = pd.DataFrame(columns=["method", "bits", "batched_ms"])


def scores(*rows: tuple[str, float, bool, bool | None]) -> pd.DataFrame:
    """Rows of (method, mAP, best, not significantly worse) at 16 bits and k = 20, and a bound above all."""
    made = [
        {"protocol": "paper", "bits": 16, "k": 20, "method": method, "map": value, "best": best, "bound": False,
         "not_significantly_worse": near}
        for method, value, best, near in rows
    ]  # fmt: skip
    bound = {**made[0], "method": "oracle", "map": 1.0, "best": False, "bound": True, "not_significantly_worse": False}
    return pd.DataFrame([*made, bound])


def costs(**times: float) -> pd.DataFrame:
    return pd.DataFrame([{"method": method, "bits": 16, "batched_ms": ms} for method, ms in times.items()])


@pytest.mark.parametrize(
    ("rows", "times", "sentence"),
    [
        (
            [("A", 0.5, True, False), ("B", 0.45, False, False), ("C", 0.4, False, False)],
            {"A": 2.0, "B": 1.0, "C": 0.1},
            "A has the highest mAP@20, 0.500, 0.050 above B. A encodes a video in 2.00 ms, C in 0.100 ms: its "
            "mAP@20 is 0.100 lower.",
        ),
        (
            [("C", 0.4, False, False), ("A", 0.5, True, False), ("B", 0.49, False, True)],
            {"A": 1.0, "B": 3.0},
            "A has the highest mAP@20, 0.500; B cannot be told apart from it. A encodes a video in 1.00 ms; "
            "no other is faster.",
        ),
        (
            [("A", 0.5, True, None), ("B", 0.4, False, None)],
            {},
            "A has the highest mAP@20, 0.500, 0.100 above B (which no test could confirm).",
        ),
        (
            [("A", 0.5, True, False), ("B", 0.5, True, False)],
            {},
            "A and B share the highest mAP@20, 0.500.",
        ),
    ],
)
def test_sentences(rows: list[Any], times: dict[str, float], sentence: str) -> None:
    measured = costs(**times) if times else NONE
    assert findings("Toy", scores(*rows), measured) == [f"Toy, 16 bits: {sentence}"]


def test_nothing_is_found_in_a_method_alone() -> None:
    assert findings("Toy", scores(("A", 0.5, True, False)), NONE) == []


def test_they_open_the_report_and_one_seed_is_said(builder: Any) -> None:
    for method, level in (("alpha", 0.5), ("beta", 0.3)):
        builder.add(method, 16, 0, level)
    with settings():
        opening = compose(name_runs(builder.store.runs())).text.split("\n## ")[0]
    assert "**Findings**\n\n- Toy videos, 16 bits: ALPHA has the highest mAP@20, 0.434, 0.178 above BETA." in opening
    assert "- One seed: other seeds may order the methods otherwise." in opening
