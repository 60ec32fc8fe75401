"""The tables of cost as text, for `bench profile`."""

from collections.abc import Iterable, Sequence

from bench.report import cost_frames, costs, times
from bench.report.render import Cell, Table
from bench.report.runs import ReportRun, datasets_of, name_runs
from bench.store import StoredRun
from bench.text import one_line
from bench.text_table import text_table

HEADER_WIDTH = 14


def profile_text(runs: Iterable[StoredRun]) -> str:
    """Counts, times, machine, search and parts of every dataset's encoders."""
    return "\n\n".join(_dataset(group) for group in datasets_of(name_runs(runs)).values())


def _dataset(runs: Sequence[ReportRun]) -> str:
    tables: list[Table | None] = [costs.encoding_table(runs)]
    if any(run.record.costs for run in runs):
        tables += [times.time_table(runs, times.aggregate(runs)), _parts_table(runs), times.module_table(runs)]
        tables += [times.machine_table(runs), times.search_table(runs)]
    return "\n\n".join(_text(table) for table in tables if table is not None)


def _parts_table(runs: Sequence[ReportRun]) -> Table | None:
    frame = cost_frames.parts(runs)
    if frame.empty:
        return None
    rows = [
        [row["method"], str(row["bits"]), row["setting"], str(row["batch"]), row["part"], costs.significant(row["ms"])]
        for _, row in frame.iterrows()
    ]
    return Table(
        name="parts",
        caption="Encoding time by part of the network.",
        header=["method", "bits", "setting", "batch", "part", "ms/video"],
        rows=[[Cell(text) for text in row] for row in rows],
        frame=frame,
        words=frozenset({"setting", "part"}),
    )


def _text(table: Table) -> str:
    body = text_table(
        [[one_line(cell.text) + (f" ({cell.mark})" if cell.mark else "") for cell in row] for row in table.rows],
        list(table.header),
        colalign=table.alignment,
        maxheadercolwidths=HEADER_WIDTH,
    )
    return "\n\n".join([table.caption, body, *table.notes])
