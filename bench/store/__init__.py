"""Stored runs: identity, record, files, checks."""
