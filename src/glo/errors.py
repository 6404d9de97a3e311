"""Errors a user can mend: one clear sentence each.

`glo` tells two kinds of failure apart. A `UserError` is a mistake in what was asked for or in the
data: it says what was given, what is allowed and what to do next, and the command line prints it
without a traceback and exits with code 2. Anything else is ours.
"""

import difflib
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

__all__ = ["UserError", "UserTypeError", "listed", "printable", "require_extra", "suggest"]

# A sentence that quotes what it is about could become as long as a hostile file.
_LONGEST, _END = 4000, 1000
_LONGEST_WORD = 100
_MOST_LISTED = 8


def printable(text: str) -> str:
    """Return a text with everything that a terminal would not print as such spelled out.

    Names of files and texts in them may hold line breaks, escape sequences that command a terminal,
    and bytes that are no text.

    Example:
        >>> printable("café \\x1b[31m")
        'café \\\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


class UserError(ValueError):
    """A value that cannot be used; the message is one sentence for the person who gave it.

    Args:
        sentence: the message. It is made printable, and cut in its middle if it is very long.

    Example:
        >>> str(UserError("a\\nb.png cannot be read."))
        'a\\\\nb.png cannot be read.'
    """

    def __init__(self, sentence: object = "") -> None:
        # Spelled out, what cannot be printed takes up to ten times the room.
        super().__init__(_cut(printable(_cut(str(sentence)))))


def _cut(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - _END]} ... {text[-_END:]}"


class UserTypeError(UserError, TypeError):
    """A value of a kind that cannot be used, such as an object array in place of numbers."""


def suggest(word: str, choices: Iterable[str], *, folder: Path | None = None) -> str:
    """Return a closing question that names the nearest of `choices`, or nothing.

    Args:
        word: what was given.
        choices: what is there.
        folder: where the choices lie, if they are names of files.

    Example:
        >>> suggest("epohcs", ["epochs", "batch_size"])
        " Did you mean 'epochs'?"
        >>> suggest("zzz", ["epochs"])
        ''
    """
    near = difflib.get_close_matches(word[:_LONGEST_WORD], list(choices), n=1)
    if not near:
        return ""
    return f" Did you mean '{near[0] if folder is None else folder / near[0]}'?"


def listed(names: Sequence[str], *, comma: str = ", ", rest: str = " and {} more") -> str:
    """Return the first few of many names, and how many there are besides.

    Args:
        names: of what there is.
        comma: what stands between two.
        rest: what stands after the last, {} for the number of the others.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b, c'
        >>> listed([f"x{k}" for k in range(1000)])
        'x0, x1, x2, x3, x4, x5, x6, x7 and 992 more'
    """
    more = len(names) - _MOST_LISTED
    return comma.join(names[:_MOST_LISTED]) + (rest.format(more) if more > 0 else "")


def require_extra(what: str, extra: str, *libraries: str) -> None:
    """Check that libraries are installed.

    Args:
        what: needs them; the beginning of the sentence.
        extra: of this package, which brings them.
        libraries: names to import.

    Raises:
        UserError: one is not.

    Example:
        >>> require_extra("ONNX", "onnx", "json", "no_such_library")
        Traceback (most recent call last):
        glo.errors.UserError: ONNX needs no_such_library, which is not installed; run pip install \
'glo-torch[onnx]'.
    """
    for library in libraries:
        if find_spec(library) is None:
            raise UserError(
                f"{what} needs {library}, which is not installed; run pip install "
                f"'glo-torch[{extra}]'."
            )
