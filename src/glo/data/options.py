"""What a user may say about a source, whatever its kind."""

from dataclasses import dataclass
from typing import Literal, get_args

from glo.errors import UserError, suggest

__all__ = ["DEFAULTS", "Crop", "SourceOptions", "Split"]

Crop = Literal["center", "pad", "stretch"]
Split = Literal["train", "test"]

_LARGEST_SIDE = 8192


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Say how a source is read; one set of options serves every kind.

    Args:
        size: side in pixels of the square images to make, 1 to 8192. None keeps the size of the
            source, except that 28 x 28 IDX images (MNIST and its kin) become 32 x 32, and that a
            folder of images of mixed sizes gets the largest power of two not above their median
            short side, at least 8 and at most 128.
        channels: 1 grey or 3 colour; None takes it from the source.
        crop: how an image whose sides are in another proportion is made to fit: "center" cuts the
            longer side, "pad" adds black bars, "stretch" changes the proportion.
        split: which part of a source that has two (IDX folders, .npz files with x_train and
            x_test) is read.
        limit: read the first so many examples alone; None reads all.

    Raises:
        UserError: if a value is not one of those above.

    Example:
        >>> SourceOptions(size=64, crop="pad").size
        64
        >>> SourceOptions(channels=4)
        Traceback (most recent call last):
        glo.errors.UserError: channels is 4; give 1 (grey), 3 (colour) or None (as the source).
    """

    size: int | None = None
    channels: int | None = None
    crop: Crop = "center"
    split: Split = "train"
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            _check_count("size", self.size, _LARGEST_SIDE)
        if self.limit is not None:
            _check_count("limit", self.limit, None)
        if isinstance(self.channels, bool) or self.channels not in (None, 1, 3):
            raise UserError(
                f"channels is {self.channels!r}; give 1 (grey), 3 (colour) or None (as the source)."
            )
        _check_word("crop", self.crop, get_args(Crop))
        _check_word("split", self.split, get_args(Split))


def _check_count(name: str, value: object, most: int | None) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and isinstance(value, int) and value >= 1 and (most is None or value <= most):
        return
    allowed = "a whole number from 1 up" if most is None else f"a whole number from 1 to {most}"
    raise UserError(f"{name} is {value!r}; give {allowed}, or None.")


def _check_word(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        words = " or ".join(repr(word) for word in allowed)
        raise UserError(f"{name} is {value!r}; give {words}.{suggest(str(value), allowed)}")


DEFAULTS = SourceOptions()
