"""Montage of digits of some cells: training, unseen and sampled digits."""

from benchmarks.plateau.results import Result, Results
from PIL import Image, ImageDraw, ImageFont

__all__ = ["INK", "draw_digits"]

# A grey that is legible on white and on black.
INK = "#868e96"
_SIDE, _GAP, _LABEL = 32, 10, 300
_SHOWN = {
    "gaussian-d1-c1": "theirs, small replica",
    "replay": "theirs, full size",
    "gaussian-d1-c5120": "codes x 5,120",
    "gaussian-d100-c1": "generator x 100",
    "gaussian-d100-c5120": "both",
    "pca-d1-c1": "PCA codes",
    "pca-d100-c1": "PCA codes, generator x 100",
    "ours-as-it-is": "ours with their generator",
    "full-pca-d100-c1": "PCA, generator x 100, full",
    "full-d100-c5120": "both, full",
}


def draw_digits(results: Results) -> Image.Image | None:
    """Arrange training, unseen and sampled digits of some cells, one row each.

    Args:
        results: of the study.

    Returns:
        a picture without background, or None if no such cell was made.
    """
    cells = [name for name in _SHOWN if results.get(name) is not None]
    original = results.folder / "digits.png"
    if not cells or not original.is_file():
        return None
    columns, count = 3, 8
    width = _LABEL + columns * (count * _SIDE + _GAP)
    sheet = Image.new("RGBA", (width, 24 + (len(cells) + 1) * (_SIDE + 4)), (0, 0, 0, 0))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, text in enumerate(("learned", "unseen, by inversion", "drawn from one Gaussian")):
        pen.text((_LABEL + column * (count * _SIDE + _GAP), 2), text, fill=INK, font=font)
    for line, name in enumerate(["", *cells]):
        path = results.folder / "pictures" / f"{name}.png" if name else original
        cell, top = results.get(name), 24 + line * (_SIDE + 4)
        pen.text((0, top + _SIDE // 2), _said(name, cell), fill=INK, font=font, anchor="lm")
        with Image.open(path) as strip:
            for column in range(strip.height // _SIDE):
                box = (0, column * _SIDE, count * _SIDE, (column + 1) * _SIDE)
                sheet.paste(strip.crop(box), (_LABEL + column * (count * _SIDE + _GAP), top))
    return sheet


def _said(name: str, cell: Result | None) -> str:
    return "the digits" if cell is None else f"{_SHOWN[name]}  {cell.train:.3f} / {cell.unseen:.3f}"
