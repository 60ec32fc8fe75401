"""Reports from stored results: tables, plots, documents. Nothing here trains or measures."""

from bench.report.folder import require_replaceable, write_report
from bench.report.terminal import summary

__all__ = ["require_replaceable", "summary", "write_report"]
