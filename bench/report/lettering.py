"""Text in figures, in the font that comes with Matplotlib, so that figures are the same on every machine."""

from functools import cache

from matplotlib.font_manager import findfont, get_font

from bench.base.text import one_line

FONT = "DejaVu Sans"
DENSITY = 720
"""Dots an inch to measure text at, where their rounding does not count."""


def drawable(text: str, longest: int) -> str:
    """`text` as a label of at most so many characters; what the font lacks is escaped, such as `\\u6bd4`.

    The middle of a longer one is left out, since names of variants differ at their ends.
    Matplotlib drops legend entries that start with an underscore, so a space goes before one. Dollar signs
    need nothing: mathematics is switched off in `figures.SETTINGS`.
    """
    glyphs = _glyphs()
    drawn = "".join(letter if ord(letter) in glyphs else ascii(letter)[1:-1] for letter in one_line(text))
    head, tail = longest // 2, len(drawn) - (longest - 1 - longest // 2)
    line = drawn if len(drawn) <= longest else f"{drawn[:head]}…{drawn[tail:]}"
    return f" {line}" if line.startswith("_") else line


def fitting(text: str, longest: int, points: float, inches: float) -> str:
    """The longest label of `text` that is no wider than `inches` in letters of so many points."""
    labels = (drawable(text, most) for most in range(longest, 0, -1))
    return next((line for line in labels if width(line, points) <= inches), "")


@cache
def _glyphs() -> frozenset[int]:
    """The code points that the font has."""
    return frozenset(get_font(findfont(FONT)).get_charmap())


def width(line: str, points: float) -> float:
    """The width of a line in inches."""
    font = get_font(findfont(FONT))
    font.set_size(points, DENSITY)
    font.set_text(line)
    return float(font.get_width_height()[0] / 64 / DENSITY)
