"""Sweeps on a Ray cluster: runs elsewhere, their results in the store here. Only `executor` and `node` import Ray."""
