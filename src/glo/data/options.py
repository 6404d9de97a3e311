"""Options for reading a source of examples."""

from dataclasses import dataclass
from typing import Literal, get_args

from glo.config.settings import Settings, check_settings
from glo.data.reading import Reading
from glo.errors import UserError, suggest

__all__ = ["DEFAULTS", "Crop", "SourceOptions", "Split", "check_train_split"]

Crop = Literal["center", "pad", "stretch"]
Split = Literal["train", "test"]


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Options of a source, the same for every kind.

    Args:
        size: side of the square images to make, 2 to 8192 pixels. None keeps the size of the
            source, except that 28 x 28 IDX images (MNIST and similar) become 32 x 32, and that a
            folder of images of mixed sizes gets the largest power of two not above their median
            short side, at least 8 and at most 128.
        channels: 1 (gray) or 3 (color); None takes the number from the source.
        crop: treatment of images of another aspect ratio: "center" cuts the longer side, "pad"
            adds black bars, "stretch" changes the ratio.
        pixel_range: values of black and white in the source; None: by its dtype and values.
        split: part of a source that has two (IDX folders, .npz files with x_train and x_test).
        limit: number of examples that are read, the first ones; None reads all.
        reading: reading of an earlier source, that of a run's training data, which is applied to
            this one; None: the source decides.

    Raises:
        UserError: a value is not one of those above.

    Example:
        >>> SourceOptions(size=64, crop="pad").size
        64
        >>> SourceOptions(channels=4)
        Traceback (most recent call last):
        glo.errors.UserError: channels is 4; it must be one of 1, 3.
    """

    size: int | None = Settings.size
    channels: int | None = Settings.channels
    crop: Crop = Settings.crop
    pixel_range: tuple[float, float] | None = Settings.pixel_range
    split: Split = "train"
    limit: int | None = Settings.limit
    reading: Reading | None = None

    def __post_init__(self) -> None:
        others = ("split", "reading")
        check_settings({name: value for name, value in vars(self).items() if name not in others})
        if self.pixel_range is not None and self.pixel_range[0] == self.pixel_range[1]:
            raise UserError(
                f"pixel_range is {self.pixel_range}; give two different values, black and white."
            )
        if self.split not in get_args(Split):
            near = suggest(str(self.split), get_args(Split))
            raise UserError(f"split is {self.split!r}; it must be one of train, test.{near}")


def check_train_split(what: str, options: SourceOptions) -> None:
    """Check that no test split is requested of a source without one, which messages name `what`."""
    if options.split != "train":
        raise UserError(
            f"{what} has no {options.split!r} split; leave split at 'train', or give the"
            f" {options.split} examples as a separate source."
        )


DEFAULTS = SourceOptions()
