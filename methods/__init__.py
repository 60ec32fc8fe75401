"""The built-in hashing methods, a file or a folder each."""
