"""A walk to look at: lines of pictures, a film, or a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import torch
from PIL import Image
from torch import Tensor

from glo.data import Dataset
from glo.data.table_writer import write_rows
from glo.decoders.decode import decode
from glo.imaging.grids import grid, save_picture
from glo.imaging.video import ping_pong, save_gif, save_mp4, upscale
from glo.runs.run import Run
from glo.workflows.code_points import CodePoint

__all__ = ["Walk", "draw_lines", "draw_neighbours", "save_neighbours", "save_walk"]

_GAP, _PAPER = 2, 255
_BLANK = 1.0


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Walk:
    """Codes in the order in which they are shown.

    Attributes:
        lines: each (n, D); of one length but in a triangle.
        film: whether a film goes through the lines one after the other, each beginning where the
            one before ended, or through all at once, side by side.
    """

    lines: tuple[Tensor, ...]
    film: Literal["in turn", "at once"] = "in turn"


def save_walk(run: Run, walk: Walk, path: Path) -> Path:
    """Write a walk in the form that the ending of `path` says, and return `path`.

    Args:
        run: whose decoder makes pictures, or vectors, of the codes.
        walk: what is shown.
        path: .png: a line of pictures for each line; .gif and .mp4: a film, there and back; .csv: a
            row for each code, with its line, its step, the code z0, z1, ... and, of vectors, what
            the decoder makes of it, x0, x1, ...

    Raises:
        UserError: there is no ffmpeg for an .mp4, or it failed.

    Example:
        >>> from glo.runs.run import open_run
        >>> run = open_run("runs/mnist")  # doctest: +SKIP
        >>> walk = Walk(lines=(run.codes[:2],))  # doctest: +SKIP
        >>> save_walk(run, walk, Path("two.png"))  # doctest: +SKIP
    """
    if path.suffix == ".csv":
        return _save_table(run, walk, path)
    if path.suffix == ".png":
        return save_picture(draw_lines(_decode(run, walk.lines)), path)
    save = save_gif if path.suffix == ".gif" else save_mp4
    return save(ping_pong(_frames(run, walk)), path)


def draw_lines(lines: Sequence[Tensor]) -> Image.Image:
    """Lay lines of images one below the other, the shorter ones in the middle.

    Args:
        lines: each (n, C, H, W) in [-1, 1].

    Example:
        >>> draw_lines([torch.zeros(1, 1, 64, 64), torch.zeros(2, 1, 64, 64)]).size
        (134, 134)
    """
    strips = [grid(images, columns=len(images)) for images in lines]
    width = max(strip.width for strip in strips)
    height = sum(strip.height - _GAP for strip in strips) + _GAP
    white = _PAPER if strips[0].mode == "L" else (_PAPER,) * 3
    sheet = Image.new(strips[0].mode, (width, height), white)
    top = 0
    for strip in strips:
        # Two lines share the gap between them.
        sheet.paste(strip, ((width - strip.width) // 2, top))
        top += strip.height - _GAP
    return sheet


def draw_neighbours(
    run: Run, point: CodePoint, rows: Tensor, real: Dataset | None, path: Path
) -> Path:
    """Draw a point and the training examples of `rows`, as decoded and, below, as they are.

    Args:
        run: of images.
        point: it comes first; its own example stands below where there is one.
        rows: int64 (k,).
        real: the training data; None: no line of them.
        path: of a .png.
    """
    (made,) = _decode(run, [torch.cat([point.code.unsqueeze(0), run.codes[rows]])])
    if real is None:
        return save_picture(draw_lines([made]), path)
    own = torch.full_like(made[:1], _BLANK)
    if point.row is not None:
        own = real.batch(torch.tensor([point.row]))
    elif point.seen is not None:
        own = point.seen.unsqueeze(0)
    return save_picture(draw_lines([made, torch.cat([own, real.batch(rows)])]), path)


def save_neighbours(run: Run, rows: Tensor, distances: Tensor, path: Path) -> Path:
    """Write neighbours as a table: row, distance, code and, of vectors, what is made of it."""
    vectors = len(run.data.shape) == 1
    made = run.reconstruct(rows) if vectors else run.codes[rows][:, :0]
    about = {"row": rows.tolist(), "distance": list(distances.numpy())}
    return write_rows(path, about, codes=run.codes[rows], examples=made)


def _decode(run: Run, lines: Sequence[Tensor]) -> list[Tensor]:
    made = run.in_units(decode(run.decoder, torch.cat(list(lines)), run.settings.precision))
    return list(made.split([len(line) for line in lines]))


def _frames(run: Run, walk: Walk) -> list[Image.Image]:
    if walk.film == "at once":
        beside = torch.stack(_decode(run, walk.lines), dim=1)
        return [grid(images, columns=len(images)) for images in beside]
    first, *others = walk.lines
    (images,) = _decode(run, [torch.cat([first, *(line[1:] for line in others)])])
    return [upscale(grid(image.unsqueeze(0), frame=False)) for image in images]


def _save_table(run: Run, walk: Walk, path: Path) -> Path:
    lines = walk.lines
    vectors = len(run.data.shape) == 1
    made = _decode(run, lines) if vectors else [line[:, :0] for line in lines]
    places = [(line, step) for line, codes in enumerate(lines) for step in range(len(codes))]
    about = {"line": [line for line, _ in places], "step": [step for _, step in places]}
    return write_rows(path, about, codes=torch.cat(lines), examples=torch.cat(made))
