"""Reports from stored results: tables, plots, documents. Nothing here trains or measures."""

from bench.report.compose import write_report
from bench.report.document import require_writable
from bench.report.runs import select_runs
from bench.report.terminal import summary

__all__ = ["require_writable", "select_runs", "summary", "write_report"]
