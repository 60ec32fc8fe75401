"""The look of a method is the same in every report."""

import pytest

from bench.report.styles import BOUND_COLOUR, OTHERS, assign
from bench.store.registered import known_methods

BUILT_IN = {known.titles[0]: name for name, known in known_methods().items()}
BOUNDS = {known.titles[0] for known in known_methods().values() if known.bound}


def test_all_built_in_methods_look_different() -> None:
    styles = assign(BUILT_IN, BOUNDS)
    assert len({(style.colour, style.marker) for style in styles.values()}) == len(BUILT_IN) >= 25
    assert {name for name, style in styles.items() if style.bound} == BOUNDS
    assert {style.colour for name, style in styles.items() if style.bound} == {BOUND_COLOUR}
    assert not {OTHERS, BOUND_COLOUR} & {style.colour for style in styles.values() if not style.bound}


@pytest.mark.parametrize("others", [{}, {"Mine": "mine"}, {"BTH (epochs=5)": "bth", "A": "itq"}, BUILT_IN])
def test_whatever_else_is_in_the_report(others: dict[str, str]) -> None:
    alone = assign({"MCMSH": "mcmsh", "random codes": "random"}, {"random codes"})
    among = assign({"MCMSH": "mcmsh", "random codes": "random", **others}, {"random codes", *BOUNDS})
    assert {name: among[name] for name in alone} == alone


def test_a_plug_in_is_black_and_stays_so() -> None:
    alone = assign({"Mine": "mine"}, ())
    assert alone["Mine"].colour == OTHERS
    assert assign({"Mine": "mine", **BUILT_IN}, BOUNDS)["Mine"] == alone["Mine"]


def test_several_plug_ins_have_colours_of_their_own() -> None:
    styles = assign({f"method {index}": f"m{index}" for index in range(9, -1, -1)}, ())
    assert len({style.colour for style in styles.values()}) == 10
    assert styles["method 0"].colour == OTHERS


def test_variants_share_a_colour_and_no_marker() -> None:
    styles = assign({f"MCMSH (epochs={epochs})": "mcmsh" for epochs in range(1, 7)}, ())
    assert {style.colour for style in styles.values()} == {assign({"MCMSH": "mcmsh"}, ())["MCMSH"].colour}
    assert len({style.marker for style in styles.values()}) == 6


def test_forty_plug_ins_are_told_apart() -> None:
    labels = {f"method {index:02}": f"m{index}" for index in range(40)}
    styles = assign(labels, ())
    assert len({(style.colour, style.marker) for style in styles.values()}) == 40
    assert styles == assign(dict(reversed(list(labels.items()))), ())
