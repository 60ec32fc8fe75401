"""The documentation site: `tox -e docs`. Nothing in its pages is loaded from elsewhere."""

from importlib import metadata

project = "vhbench"
author = "The vhbench contributors"
release = metadata.version("vhbench")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 4
suppress_warnings = ["myst.strikethrough"]

# Docstrings mark code with single backticks, as Markdown does.
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"vhbench {release}"
html_copy_source = False
html_show_sourcelink = False
