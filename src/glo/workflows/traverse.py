"""Traversals of the code space as grids, videos or tables."""

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

__all__ = ["Traversal", "draw_lines", "draw_neighbors", "save_neighbors", "save_traversal"]

_GAP, _WHITE = 2, 255


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Traversal:
    """Lines of codes, (n, D) each; n differs only in a triangle.

    Attributes:
        video: order of the frames of a video. "sequential": one line after the other, each of which
            begins at the end of the previous one. "parallel": all lines at once, side by side.
    """

    lines: tuple[Tensor, ...]
    video: Literal["sequential", "parallel"] = "sequential"


def save_traversal(run: Run, traversal: Traversal, path: Path) -> Path:
    """Write a traversal in the format of the suffix of `path`, and return `path`.

    A .png has a row of images per line; a .gif or .mp4 plays forward and backward; a .csv has a row
    per code with line, step, code z0, z1, ... and, of vectors, the decoded x0, x1, ... or
    columns by the names of the training data.

    Raises:
        UserError: a missing or failing ffmpeg for an .mp4.
    """
    lines = traversal.lines
    if path.suffix == ".csv":
        decoded = [line[:, :0] for line in lines] if run.is_images else _decode(run, lines)
        places = [(line, step) for line, codes in enumerate(lines) for step in range(len(codes))]
        columns = {"line": [line for line, _ in places], "step": [step for _, step in places]}
        codes, examples = torch.cat(lines), torch.cat(decoded)
        return write_rows(path, columns, codes=codes, examples=examples, names=run.reading.columns)
    if path.suffix == ".png":
        return save_picture(draw_lines(_decode(run, lines)), path)
    save = save_gif if path.suffix == ".gif" else save_mp4
    return save(ping_pong(_frames(run, traversal)), path)


def draw_lines(lines: Sequence[Tensor]) -> Image.Image:
    """Draw lines of images, (n, C, H, W) in [-1, 1], below each other, shorter lines centered."""
    strips = [grid(images, columns=len(images)) for images in lines]
    width = max(strip.width for strip in strips)
    height = sum(strip.height - _GAP for strip in strips) + _GAP
    white = _WHITE if strips[0].mode == "L" else (_WHITE,) * 3
    image = Image.new(strips[0].mode, (width, height), white)
    top = 0
    for strip in strips:
        # Adjacent lines share the gap between them.
        image.paste(strip, ((width - strip.width) // 2, top))
        top += strip.height - _GAP
    return image


def draw_neighbors(
    run: Run, point: CodePoint, rows: Tensor, dataset: Dataset | None, path: Path
) -> Path:
    """Draw a point and training examples as decoded and, below, as they are in `dataset`."""
    (decoded,) = _decode(run, [torch.cat([point.code.unsqueeze(0), run.codes[rows]])])
    if dataset is None:
        return save_picture(draw_lines([decoded]), path)
    example = torch.ones_like(decoded[:1])
    if point.row is not None:
        example = dataset.batch(torch.tensor([point.row]))
    elif point.example is not None:
        example = point.example.unsqueeze(0)
    return save_picture(draw_lines([decoded, torch.cat([example, dataset.batch(rows)])]), path)


def save_neighbors(run: Run, rows: Tensor, distances: Tensor, path: Path) -> Path:
    """Write a table of row, identity, distance, code and, of vectors, decoded example."""
    codes = run.codes[rows]
    decoded = codes[:, :0] if run.is_images else run.reconstruct(rows)
    ids = {} if run.row_ids.ids is None else {"id": run.row_ids.subset(rows).names}
    columns = {"row": rows.tolist(), **ids, "distance": list(distances.numpy())}
    return write_rows(path, columns, codes=codes, examples=decoded, names=run.reading.columns)


def _decode(run: Run, lines: Sequence[Tensor]) -> list[Tensor]:
    examples = decode(run.decoder, torch.cat(list(lines)), run.settings.precision)
    return list(run.in_units(examples).split([len(line) for line in lines]))


def _frames(run: Run, traversal: Traversal) -> list[Image.Image]:
    if traversal.video == "parallel":
        columns = torch.stack(_decode(run, traversal.lines), dim=1)
        return [grid(images, columns=len(images)) for images in columns]
    first, *others = traversal.lines
    (images,) = _decode(run, [torch.cat([first, *(line[1:] for line in others)])])
    return [upscale(grid(image.unsqueeze(0), frame=False)) for image in images]
