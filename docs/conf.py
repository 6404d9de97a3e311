"""Settings of the documentation; build it with `sphinx-build -W docs docs/_build/html`."""

import sys
from importlib.metadata import version as _installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "GLO"
author = "The GLO authors"
project_copyright = "2026, The GLO authors"
release = _installed_version("glo-torch")
version = release

extensions = [
    # Pages in Markdown, and the notebooks among them.
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    # Our own, in _ext: tables and sentences read off the package, docstrings taken as plain text.
    "glo_docstrings",
    "glo_findings",
    "glo_tables",
]
# No page is fetched from another site's index: the build works without a network.
exclude_patterns = ["_build", "_ext"]
# Notebooks are text and hold no outputs, so each is run in every build; one that fails fails it.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
# Seconds for a cell: many times what it takes, for machines that are busy.
nb_execution_timeout = 900
# What a cell complains of must be mended, not shown.
nb_output_stderr = "warn"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

# Names in docstrings stand between single backticks.
default_role = "code"
# Signatures carry the types, so the text does not repeat them.
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
# House style names arguments without types ("n: how many rows"), as Google's style allows.
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Reference", "References")]

html_theme = "furo"
html_title = "GLO"
