"""Options for reading a source of examples."""

from dataclasses import dataclass
from typing import Literal, get_args

from glo.errors import UserError, suggest

__all__ = ["DEFAULTS", "Crop", "SourceOptions", "Split", "check_train_split"]

Crop = Literal["center", "pad", "stretch"]
Split = Literal["train", "test"]

_MAX_SIDE = 8192


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Options of a source, the same for every kind.

    Args:
        size: side of the square images to make, 1 to 8192 pixels. None keeps the size of the
            source, except that 28 x 28 IDX images (MNIST and similar) become 32 x 32, and that a
            folder of images of mixed sizes gets the largest power of two not above their median
            short side, at least 8 and at most 128.
        channels: 1 (gray) or 3 (color); None takes the number from the source.
        crop: treatment of images of another aspect ratio: "center" cuts the longer side, "pad"
            adds black bars, "stretch" changes the ratio.
        split: part of a source that has two (IDX folders, .npz files with x_train and x_test).
        limit: number of examples that are read, the first ones; None reads all.

    Raises:
        UserError: a value is not one of those above.

    Example:
        >>> SourceOptions(size=64, crop="pad").size
        64
        >>> SourceOptions(channels=4)
        Traceback (most recent call last):
        glo.errors.UserError: channels is 4; give 1 (gray), 3 (color) or None (as the source).
    """

    size: int | None = None
    channels: int | None = None
    crop: Crop = "center"
    split: Split = "train"
    limit: int | None = None

    def __post_init__(self) -> None:
        _check_count("size", self.size, _MAX_SIDE)
        _check_count("limit", self.limit, None)
        if isinstance(self.channels, bool) or self.channels not in (None, 1, 3):
            raise UserError(
                f"channels is {self.channels!r}; give 1 (gray), 3 (color) or None (as the source)."
            )
        _check_word("crop", self.crop, get_args(Crop))
        _check_word("split", self.split, get_args(Split))


def check_train_split(what: str, options: SourceOptions) -> None:
    """Check that no test split is requested of a source that has none.

    Args:
        what: name of the source in the message.
        options: options of the source.

    Raises:
        UserError: `options.split` is not "train".
    """
    if options.split != "train":
        raise UserError(
            f"{what} has no {options.split!r} split; leave split at 'train', or give the"
            f" {options.split} examples as a separate source."
        )


def _check_count(name: str, value: int | None, maximum: int | None) -> None:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if value is None or (is_integer and 1 <= value <= (maximum or value)):
        return
    allowed = "an integer of at least 1" if maximum is None else f"an integer from 1 to {maximum}"
    raise UserError(f"{name} is {value!r}; give {allowed}, or None.")


def _check_word(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        words = " or ".join(repr(word) for word in allowed)
        raise UserError(f"{name} is {value!r}; give {words}.{suggest(str(value), allowed)}")


DEFAULTS = SourceOptions()
