"""Recipes for the tables and figures of papers, a folder each; beside them the example and your own reports."""
