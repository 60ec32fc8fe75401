"""Text from files and plug-ins, made harmless for the format it is printed in."""

import re
import textwrap
import unicodedata
from html import escape

from bench.base.text import one_line

LETTERS = "αβγδεζηθικλμνξπρσςτυφχψωΓΔΘΛΞΠΣΦΨΩ"
COMMANDS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma varsigma tau upsilon phi "
    "chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
"""The names that LaTeX gives to `LETTERS`."""
LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",  # \textquotedbl needs another font encoding than LaTeX's own
    "[": "{[}",  # at the start of a row, this and * would be arguments of the line break before
    "*": "{*}",
    "]": "{]}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
    "†": r"$\dagger$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "−": r"$-$",
    "→": r"$\to$",
    "●": r"$\bullet$",
    "○": r"$\circ$",
    "⁹": r"\textsuperscript{9}",
    **{letter: f"$\\{name}$" for letter, name in zip(LETTERS, COMMANDS.split(), strict=True)},
}


def shorten(text: str, width: int) -> str:
    """`text` in one line of at most `width` characters."""
    line = one_line(text)
    return textwrap.shorten(line, width, placeholder=" …") if " " in line[:width] else line[:width]


def markdown(text: str) -> str:
    """`text` as running text or a table cell of GitHub's Markdown."""
    escaped = re.sub(r"([\\`*_\[\]|~$])", r"\\\1", one_line(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def html(text: str) -> str:
    """`text` within HTML tags, where Markdown's backslashes would show."""
    return escape(one_line(text))


def code_block(text: str) -> str:
    """`text` as a fenced block, with a fence longer than any in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def latex(text: str) -> str:
    """`text` as LaTeX in text mode."""
    escaped = "".join(LATEX.get(character, character) for character in unicodedata.normalize("NFC", one_line(text)))
    return re.sub("-(?=-)", r"-\\/", escaped)  # TeX draws two hyphens as one dash


def plot(text: str, width: int) -> str:
    """`text`, in at most `width` characters, as a label in a plot.

    Matplotlib drops legend entries that start with an underscore, so a space goes before one. Dollar signs
    need nothing: mathematics is switched off in `style.SETTINGS`.
    """
    line = shorten(text, width)
    return f" {line}" if line.startswith("_") else line
