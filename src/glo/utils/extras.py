"""Libraries that only a part needs, asked for by a sentence and not by a traceback."""

from importlib.util import find_spec

from glo.errors import UserError

__all__ = ["require_extra"]


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
