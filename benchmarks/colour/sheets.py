"""Image sheets with a labeled row per method."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from glo.utils.files import atomic_write

__all__ = ["sheet", "write_sheets"]

_LABEL = 190
_GAP = 2
_QUALITY = 88


def write_sheets(folder: Path, made: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Write a sheet for each kind of image.

    Args:
        folder: for train.jpg, heldout.jpg and samples.jpg.
        made: by the name of the method, uint8 (n, H, W, 3) by kind.
    """
    for kind in ("train", "heldout", "samples"):
        save(sheet({name: tiles[kind] for name, tiles in made.items()}), folder / f"{kind}.jpg")


def sheet(lines: Mapping[str, np.ndarray], *, columns: int = 16) -> Image.Image:
    """Arrange one or more rows per name.

    Args:
        lines: uint8 (n, H, W, 3) by name.
        columns: pictures in a line.
    """
    side = next(iter(lines.values())).shape[1]
    rows = {name: -(-len(tiles) // columns) for name, tiles in lines.items()}
    high = (side + _GAP) * sum(rows.values()) + _GAP * len(rows)
    picture = Image.new("RGB", (_LABEL + columns * (side + _GAP), high), "white")
    pen, font, top = ImageDraw.Draw(picture), ImageFont.load_default(14), 0
    for name, tiles in lines.items():
        pen.text((4, top + side // 2), name, fill=0, font=font, anchor="lm")
        for number, tile in enumerate(tiles):
            line, column = divmod(number, columns)
            place = (_LABEL + column * (side + _GAP), top + line * (side + _GAP))
            picture.paste(Image.fromarray(tile), place)
        top += rows[name] * (side + _GAP) + _GAP
    return picture


def save(picture: Image.Image, path: Path) -> None:
    """Write a JPEG atomically."""
    with atomic_write(path) as writing:
        picture.save(writing, format="JPEG", quality=_QUALITY)
