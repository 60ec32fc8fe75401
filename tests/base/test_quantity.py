"""Quantities are what models declare, and say how tables show them."""

import pytest

from bench.base.quantity import Quantity, quantities
from bench.metrics import Scores
from bench.profile.cost_types import Costs


def test_fields_come_in_their_order_and_properties_after_them() -> None:
    names = list(quantities(Scores))
    assert names[:3] == ["map", "map_best", "map_worst"]
    assert names[-1] == "nothing_within_radius2"
    assert "queries" not in names


@pytest.mark.parametrize(
    ("name", "heading", "scale"),
    [("parameters_trained", "parameters trained", 1), ("flops", "multiply-adds (M)", 1e6),
     ("code_bytes", "code (bytes)", 1), ("encoder_bytes", "model (kB)", 1000)],
)  # fmt: skip
def test_headings_have_the_unit_that_values_are_divided_by(name: str, heading: str, scale: float) -> None:
    quantity = quantities(Costs)[name]
    assert (quantity.heading, quantity.scale) == (heading, scale)


def test_a_share_in_percent_has_no_unit_in_its_heading() -> None:
    assert Quantity("nothing within 2", "lower", "%").heading == "nothing within 2"
