"""What older versions wrote, lifted to what this version reads, one format at a time.

Files of a run carry the number of their format. It goes up by one when they change so that a
version before could not read them. For every number but the newest there is one function that
lifts what was read to the next number, so the newest is one more than the number of steps: who
raises a format cannot forget the step. Nothing on disk is changed by lifting; a run is written in
the newest format when it is written at all.
"""

from collections.abc import Callable, Sequence
from typing import Any

from glo.errors import UserError

__all__ = ["Step", "lift", "newest"]

Step = Callable[[dict[str, Any]], dict[str, Any]]


def newest(steps: Sequence[Step]) -> int:
    """Return the number of the format that the last step leads to.

    Example:
        >>> newest([])
        1
    """
    return 1 + len(steps)


def lift(
    values: dict[str, Any], made: Any, steps: Sequence[Step], *, where: object
) -> dict[str, Any]:
    """Lift what was read from a file to the newest format.

    Args:
        values: what the file holds.
        made: the number of its format, as the file gives it.
        steps: step k lifts format k + 1 to format k + 2.
        where: the file, named in messages.

    Returns:
        the values as the newest format has them.

    Raises:
        UserError: the file is of a newer version, or has no number of a format.

    Example:
        >>> def renamed(values):
        ...     return {"code_dim": values["dim"]}
        >>> lift({"dim": 8}, 1, [renamed], where="config.toml")
        {'code_dim': 8}
        >>> lift({}, 3, [renamed], where="config.toml")
        Traceback (most recent call last):
        glo.errors.UserError: config.toml was made by a newer version of glo: its format is 3, and \
this version reads up to 2; install a newer one: pip install --upgrade glo-torch.
    """
    if type(made) is not int or made < 1:
        raise UserError(f"{where} gives {made!r} as its format, which is no number; it was edited.")
    if made > newest(steps):
        raise UserError(
            f"{where} was made by a newer version of glo: its format is {made}, and this version "
            f"reads up to {newest(steps)}; install a newer one: pip install --upgrade glo-torch."
        )
    for step in steps[made - 1 :]:
        values = step(values)
    return values
