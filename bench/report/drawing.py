"""Drawing of figures: as SVG, PNG and PDF, and as the chart of a page."""

import io
from collections.abc import Sequence
from typing import NamedTuple

from bench.base.forked import forked_map
from bench.report.chart import chart
from bench.report.figures import Plot

DPI = 200


class Drawn(NamedTuple):
    """A plot as files, and as the chart of a page."""

    svg: str
    png: bytes
    pdf: bytes
    chart: str


def drawn(plots: Sequence[Plot]) -> list[Drawn]:
    """Every plot drawn, in order; to be called within `settings()`. Equal plots give equal bytes."""
    return forked_map(_draw, plots)


def _draw(plot: Plot) -> Drawn:
    text, image, printed = io.StringIO(), io.BytesIO(), io.BytesIO()
    layout = plot.figure.get_layout_engine()
    if layout is not None:
        # Settled once for all formats: with a layout to settle, each would be drawn twice.
        layout.execute(plot.figure)
        plot.figure.set_layout_engine(None)
    # Without a date and the library's version, equal results give equal bytes.
    plot.figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    # Compressed less: a tenth more bytes in half the time.
    quick = {"compress_level": 1}
    plot.figure.savefig(image, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs=quick)
    plot.figure.savefig(printed, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return Drawn(text.getvalue(), image.getvalue(), printed.getvalue(), chart(plot.figure))
