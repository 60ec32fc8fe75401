"""Feature arrays, labels and datasets."""
