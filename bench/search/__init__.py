"""An index over binary codes, and looking things up in it."""
