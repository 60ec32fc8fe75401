"""Sweeps on a Ray cluster. Only `executor` and `node` import Ray."""
