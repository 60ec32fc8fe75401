"""Reports from stored results: tables, plots, documents. Nothing here trains or measures."""
