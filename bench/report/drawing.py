"""Drawing of figures, in several processes: as SVG, PNG and PDF, and as the chart of a page."""

import gc
import io
import multiprocessing
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from bench.base.processes import usable_cores
from bench.report.chart import chart
from bench.report.figures import Plot

DPI = 200


_plots: Sequence[Plot] = ()


class Drawn(NamedTuple):
    """A plot as files, and as the chart of a page."""

    svg: str
    png: bytes
    pdf: bytes
    chart: str


def drawn(plots: Sequence[Plot]) -> list[Drawn]:
    """Every plot drawn, in order; to be called within `settings()`. Equal plots give equal bytes."""
    processes = min(len(plots), usable_cores()) if sys.platform == "linux" else 1
    if processes > 1:
        others = set(multiprocessing.active_children())
        try:
            # Forked, they have figures and settings already; nothing that they call uses this process's threads.
            fork = multiprocessing.get_context("fork")
            with ProcessPoolExecutor(processes, fork, _begin, (plots,)) as pool:
                return list(pool.map(_draw_number, range(len(plots))))
        except Exception:
            # No semaphores (/dev/shm), no more processes, or one was killed. A figure's own fault is found below, too.
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
                process.join()
    return [_draw(plot) for plot in plots]


def _begin(plots: Sequence[Plot]) -> None:
    """Set up a process that draws; Ctrl-C ends it through its parent."""
    global _plots  # noqa: PLW0603  figures are inherited: sending them would take as long as drawing
    _plots = plots
    # It lives for some seconds: looking through all records for garbage would take a tenth of them.
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _draw_number(number: int) -> Drawn:
    return _draw(_plots[number])


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
