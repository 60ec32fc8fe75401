"""Errors, text, files, progress, processes: what every other room may import."""
