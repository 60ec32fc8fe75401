"""Reports from stored results: tables, plots, documents. Nothing here trains or measures."""

from bench.report.folder import require_writable, write_report
from bench.report.selection import select_runs
from bench.report.terminal import summary

__all__ = ["require_writable", "select_runs", "summary", "write_report"]
