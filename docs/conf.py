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
    # Extensions in _ext: tables and messages generated from the package, plain-text docstrings.
    "glo_docstrings",
    "glo_findings",
    "glo_tables",
]
# Without intersphinx, the build needs no network.
exclude_patterns = ["_build", "_ext", "_static"]
# Notebooks contain no outputs, so every build executes them; a failing notebook fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
# Seconds per cell: many times the usual duration, for busy machines.
nb_execution_timeout = 900
# Warnings of cells fail the build.
nb_output_stderr = "warn"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

# Names in docstrings are between single backticks.
default_role = "code"
# Types are in the signatures only.
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
# Google style without types: "n: number of rows".
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Reference", "References")]

html_theme = "furo"
html_title = "GLO"
# The tokens of the page and of the report, and the theme in their terms.
html_static_path = ["_static", "../src/glo/imaging/tokens.css"]
html_css_files = ["tokens.css", "theme.css"]
