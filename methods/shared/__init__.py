"""Parts that several methods share; no method is defined here."""
