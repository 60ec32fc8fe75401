"""Trained networks as encoders: files, backends, codes."""
