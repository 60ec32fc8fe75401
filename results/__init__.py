"""Numbers: `published/` ships with the package (from papers, each with its source); your own runs land in `runs/`."""
