"""How Sphinx builds these pages; `make docs` runs it with warnings as errors."""

import cloudckpt

project = "cloudckpt"
author = "the cloudckpt authors"
copyright = "the cloudckpt authors"
release = version = cloudckpt.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "cloudckpt"
exclude_patterns = ["_build"]

# Docstrings mark code with single backticks, as Markdown does.
default_role = "code"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
myst_heading_anchors = 3
