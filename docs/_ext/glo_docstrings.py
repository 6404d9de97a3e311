r"""Escape reStructuredText markup in plain-text docstrings, where |z| is a length.

Formulas and listings indented by four spaces become literal blocks.
"""

import re
from typing import Any

from sphinx.application import Sphinx

_QUOTED = re.compile(r"(``?[^`]+``?)")
_MARKUP = re.compile(r"([|*]|\b_(?=\W|$)|(?<=\w)_(?=[\s,.;:)]|$))")


def make_plain(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Escape markup in `lines`, in place, outside examples, listings and quoted names."""
    result: list[str] = []
    verbatim = False
    for line in lines:
        before = result[-1] if result else ""
        if line.startswith("    ") and not before.strip() and _ends_paragraph(result):
            result += ["::", ""]
            verbatim = True
        elif line.strip() and not line.startswith("    "):
            verbatim = False
        example = line.lstrip().startswith((">>>", "..."))
        result.append(line if verbatim or example else _escaped(line))
    lines[:] = result


def _ends_paragraph(lines: list[str]) -> bool:
    text = [line for line in lines if line.strip()]
    return bool(text) and not text[-1].startswith(" ")


def _escaped(line: str) -> str:
    parts = _QUOTED.split(line)
    parts[::2] = [_MARKUP.sub(r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect before napoleon, which converts sections to markup."""
    app.connect("autodoc-process-docstring", make_plain, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
