"""Errors a user can mend: one clear sentence each.

`glo` tells two kinds of failure apart. A `UserError` is a mistake in what was asked for or in the
data: it says what was given, what is allowed and what to do next, and the command line prints it
without a traceback and exits with code 2. Anything else is ours.
"""

import difflib
from collections.abc import Iterable

__all__ = ["UserError", "UserTypeError", "suggest"]


class UserError(ValueError):
    """A value that cannot be used; the message is one sentence for the person who gave it."""


class UserTypeError(UserError, TypeError):
    """A value of a kind that cannot be used, such as an object array in place of numbers."""


def suggest(word: str, choices: Iterable[str]) -> str:
    """Return a closing question that names the nearest of `choices`, or nothing.

    Example:
        >>> suggest("epohcs", ["epochs", "batch_size"])
        " Did you mean 'epochs'?"
        >>> suggest("zzz", ["epochs"])
        ''
    """
    near = difflib.get_close_matches(word, list(choices), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""
