"""Errors that a user can correct, and helpers for their messages.

The message of a `UserError` has the value given, what is allowed and the next step; the command
line prints it without a traceback and exits with code 2. Other exceptions are bugs of the package.
"""

import difflib
import json
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = [
    "UserError",
    "UserTypeError",
    "install_command",
    "listed",
    "printable",
    "require_extra",
    "suggest",
]

# A message that quotes a file could become as long as the file.
MAX_LENGTH, _END = 4000, 1000
MAX_WORD_LENGTH = 100
MAX_LISTED = 8


def printable(text: str) -> str:
    """Escape the unprintable characters of a text.

    File names and texts may hold line breaks, escape sequences of terminals and undecodable bytes.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


class UserError(ValueError):
    """Invalid value or data; the message is one sentence for the user.

    Args:
        sentence: message; it is made printable, and shortened in its middle beyond 4,000
            characters.

    Example:
        >>> str(UserError("a\\nb.png cannot be read."))
        'a\\\\nb.png cannot be read.'
    """

    def __init__(self, sentence: object = "") -> None:
        # Escaped characters are up to ten times longer.
        super().__init__(_cut(printable(_cut(str(sentence)))))


def _cut(text: str) -> str:
    if len(text) <= MAX_LENGTH:
        return text
    return f"{text[: MAX_LENGTH - _END]} ... {text[-_END:]}"


class UserTypeError(UserError, TypeError):
    """Value of an invalid type, such as an object array in place of numbers."""


def suggest(word: str, choices: Iterable[str], *, folder: Path | None = None) -> str:
    """Return a closing question with the nearest choice, a name in `folder` if given, or ""."""
    near = difflib.get_close_matches(word[:MAX_WORD_LENGTH], list(choices), n=1)
    if not near:
        return ""
    return f" Did you mean '{near[0] if folder is None else folder / near[0]}'?"


def listed(names: Sequence[str], *, comma: str = ", ", rest: str = " and {} more") -> str:
    """Join the first eight names with `comma`; `rest` has {} for the number of the others."""
    more = len(names) - MAX_LISTED
    return comma.join(name or "''" for name in names[:MAX_LISTED]) + (
        rest.format(more) if more > 0 else ""
    )


def require_extra(what: str, extra: str, *libraries: str) -> None:
    """Check that libraries of an extra are installed; `what` is the feature that needs them.

    Example:
        >>> require_extra("ONNX", "onnx", "json")
        >>> require_extra("ONNX", "onnx", "json", "no_such_library")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        glo.errors.UserError: ONNX needs no_such_library, which is not installed; run pip install \
...[onnx]...
    """
    for library in libraries:
        if find_spec(library) is None:
            raise UserError(
                f"{what} needs {library}, which is not installed; run {install_command(extra)}."
            )


def install_command(extra: str) -> str:
    """Return the command that installs an extra from where this package was installed.

    That is an index, a checkout, or the file of a wheel.
    """
    try:
        about = json.loads(distribution("glo-torch").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        about = {}
    url, requirement = about.get("url", ""), f"glo-torch[{extra}]"
    if about.get("dir_info", {}).get("editable"):
        return f"pip install -e '{unquote(urlsplit(url).path)}[{extra}]'"
    return f"pip install '{requirement}{' @ ' if url else ''}{url}'"
