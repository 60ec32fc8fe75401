"""The ConMH paper's main comparison (Wang et al., AAAI 2023), measured beside published."""

from typing import ClassVar

from .comparison import COMPARED_IN, Comparison, ComparisonPaper

COMPARISON = Comparison(
    own="ConMH",
    rows=("MFH", "SSTH", "JTAE", "SSVH", "NPH", "BTH", "MCMSH", "DKPH", "ConMH"),
    bits=(16, 32, 64),
    ks=(5, 20, 40, 60, 80, 100),
    datasets=("FCVID", "ActivityNet", "YFCC"),
    origin=(
        "Datasets, code lengths and k are those of the README of ConMH's authors, which gives ConMH's numbers alone. "
        "The text of the paper was not at hand: the rows are the methods older than ConMH in the table of "
        f"{COMPARED_IN}, and the claim, that ConMH is above each of them, is what the published numbers say, not a "
        "quotation."
    ),
)


class ConmhPaper(ComparisonPaper):
    """ConMH and the methods before it on FCVID, ActivityNet and YFCC, or any other datasets."""

    name: ClassVar[str] = "conmh"
    title: ClassVar[str] = "The ConMH paper's comparison, reproduced"
    artefacts: ClassVar[tuple[str, ...]] = ("conmh",)
    comparison = COMPARISON
