"""Encoding as fast as it goes: networks made equal but cheaper, compiled, or exported."""
