"""Labels in figures: of letters that the font has, within their width, and different at their ends."""

from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import TextPath

from bench.report.lettering import FONT, drawable, fitting, width


def test_labels() -> None:
    assert drawable("比較 α", 44) == r"\u6bd4\u8f03 α"
    assert drawable("Method (weight=0.25)", 11) == "Metho…0.25)"
    assert drawable("two\nlines", 44) == "two lines"
    assert drawable("_name", 44) == " _name"  # or a legend leaves it out


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.integers(1, 50))
def test_labels_have_no_more_than_so_many_letters_all_of_the_font(text: str, longest: int) -> None:
    line = drawable(text, longest)
    assert len(line) <= longest + line.startswith(" ")
    assert {ord(letter) for letter in line} <= get_font(findfont(FONT)).get_charmap().keys()


def test_a_wide_name_is_cut_to_its_room() -> None:
    for text in ("W" * 24, "i" * 24, "Plain name"):
        drawn = TextPath((0, 0), text, size=6, prop=FontProperties(family=FONT)).get_extents().width / 72
        assert abs(width(text, 6) - drawn) < 0.04  # the space beside the first and last letter
    assert fitting("Plain name", 24, 6, 1) == "Plain name"
    assert fitting("i" * 30, 24, 6, 1) == "i" * 12 + "…" + "i" * 11
    cut = fitting("W" * 24, 24, 6, 1)
    assert cut == f"{'W' * 6}…{'W' * 5}"
    assert width(cut, 6) <= 1 < width(f"W{cut}", 6)
