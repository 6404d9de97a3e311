"""Table and image grid of the comparison."""

import json
from typing import Any

import numpy as np
from benchmarks.compare.problem import Problem, write_atomically
from PIL import Image, ImageDraw, ImageFont

from glo.imaging.grids import save_picture

__all__ = ["write_report"]

_COLUMNS = 20
_LABEL = 240
_GAP = 4
_TEXT = 15

_HEADS = (
    "method",
    "train s",
    "fit s",
    "steps",
    "pace ms",
    "train MSE",
    "FD rebuilt",
    "FD samples",
    "KD",
    "precision",
    "recall",
    "density",
    "coverage",
    "copying",
)


def write_report(problem: Problem, names: list[str], features: str) -> None:
    """Write table.md, table.json and grid.png of the finished rows.

    Args:
        problem: the task.
        names: all rows, in order.
        features: a sentence about the feature network.
    """
    rows = [row for name in names if (row := _read(problem, name)) is not None]
    about = json.loads((problem.folder / "study.json").read_text("utf-8"))
    missing = [name for name in names if _read(problem, name) is None]
    write_atomically(
        problem.folder / "table.json",
        {"study": about | {"features": features}, "rows": rows, "missing": missing},
    )
    text = _preface(problem, about, features) + _table(rows) + _notes(rows)
    if missing:
        text += f"\nNot made yet: {', '.join(missing)}.\n"
    write_atomically(problem.folder / "table.md", text)
    if rows:
        save_picture(_grid(problem, rows), problem.folder / "grid.png")


def _file(problem: Problem, name: str, suffix: str) -> Any:
    return problem.folder / "rows" / f"{name.replace(' ', '-')}{suffix}"


def _read(problem: Problem, name: str) -> dict[str, Any] | None:
    path = _file(problem, name, ".json")
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def _preface(problem: Problem, about: dict[str, Any], features: str) -> str:
    return (
        f"{problem.train.name}: {len(problem.train):,} training images, 32 x 32. "
        f"{problem.seconds:g} CPU seconds for each method on one thread, sampler included; "
        f"{problem.n_samples:,} samples against as many of the {len(problem.test):,} test images. "
        f"Features: {features}. Copying is C_T of the "
        f"data-copying test: far below 0 means copies. MSE and FD of reconstructions: "
        f"{len(problem.rebuilt_rows):,} training images, pixels in [-1, 1]. "
        "Pace: CPU milliseconds of a bare step of the decoder, mean of before and after the "
        "method; where it is higher, the machine was slower for that method. "
        f"{about['machine']}, torch {about['torch']}, {about['date']}, seed {problem.seed}.\n\n"
    )


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [f"| {' | '.join(_HEADS)} |", "|" + " --- |" * len(_HEADS)]
    for row in rows:
        found = row["measures"]
        cells = [
            row["name"],
            f"{row['training']['cpu']:.0f}",
            f"{row['fitting']['cpu']:.0f}",
            f"{row['steps']:,}" if row["steps"] else "",
            f"{sum(row['pace_ms']) / 2:.0f}",
            f"{found['train_mse']:.4f}" if "train_mse" in found else "",
            f"{found['fd_rebuilt']:.2f}" if "fd_rebuilt" in found else "",
            f"{found['fd_samples']:.2f}",
            f"{found['kd_samples']:.3f}",
            *(f"{found[name]:.3f}" for name in _HEADS[-5:-1]),
            f"{found['memorisation']['copying']:+.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _notes(rows: list[dict[str, Any]]) -> str:
    said = [f"- {row['name']}: {'; '.join(row['notes'])}." for row in rows if row["notes"]]
    return "\n" + "\n".join(said) + "\n" if said else ""


def _grid(problem: Problem, rows: list[dict[str, Any]]) -> Image.Image:
    """Arrange one labeled strip of samples per method."""
    strips = [np.load(_file(problem, row["name"], ".npy"), allow_pickle=False) for row in rows]
    side, channels = strips[0].shape[1], strips[0].shape[3]
    shape = (len(rows) * (side + _GAP) + _GAP, _LABEL + _COLUMNS * (side + 1) + _GAP)
    sheet = np.full((*shape, channels), 255, np.uint8)
    for number, strip in enumerate(strips):
        top = _GAP + number * (side + _GAP)
        for column, tile in enumerate(strip[:_COLUMNS]):
            left = _LABEL + column * (side + 1)
            sheet[top : top + side, left : left + side] = tile
    picture = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(_TEXT)
    for number, row in enumerate(rows):
        middle = _GAP + number * (side + _GAP) + side // 2
        said = f"{row['name']}  {row['measures']['fd_samples']:.1f}"
        pen.text((8, middle), said, fill=0, font=font, anchor="lm")
    return picture
