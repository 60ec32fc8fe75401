"""Errors, text, files, progress, processes: the room that all others import."""
