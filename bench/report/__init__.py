"""Reports from stored results: tables, plots, documents. Nothing here trains or measures."""

from bench.report.folder import write_report
from bench.report.terminal import summary

__all__ = ["summary", "write_report"]
