"""Tables and image grids of the comparison, one of each per data set and budget."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.compare.measure import KEPT
from benchmarks.compare.methods import METHODS, TWICE
from benchmarks.rows import Rows, markdown, spread
from PIL import Image, ImageDraw, ImageFont

from glo.imaging.grids import save_picture
from glo.utils.files import write_text

__all__ = ["FLOOR", "Part", "read_parts", "write_reports"]

FLOOR = "training images"
_LABEL = 400
_GAP = 4
_TEXT = 15

# Heads of the columns, where their numbers are, and their digits.
_MODEL = {
    "steps": ("steps", 0),
    "training error": ("train_mse", 4),
    "held-out error, encoder": ("encoder_mse", 4),
    "held-out error, search": ("search_mse", 4),
    "encoded / CPU s": ("encoder_per_second", 0),
    "searched / CPU s": ("search_per_second", 0),
    "FD of reconstructions": ("fd_rebuilt", 2),
}
_SAMPLER = {
    "FD of samples": ("fd", 2),
    "KD": ("kd", 1),
    "precision": ("precision", 3),
    "recall": ("recall", 3),
    "density": ("density", 3),
    "coverage": ("coverage", 3),
}


@dataclass(frozen=True)
class Part:
    """Results of one data set, budget and seed.

    Args:
        folder: folder of the results.
    """

    folder: Path

    @cached_property
    def study(self) -> dict[str, Any]:
        """The task and the machine."""
        about: dict[str, Any] = json.loads((self.folder / "study.json").read_text("utf-8"))
        return about

    @cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        """Finished rows by name."""
        paths = sorted((self.folder / "rows").glob("*.json"))
        found = [json.loads(path.read_text("utf-8")) for path in paths]
        return {row["name"]: row for row in found}

    def images(self, name: str) -> dict[str, np.ndarray]:
        """Return the images kept of a row."""
        return Rows(self.folder, {}).arrays(name)


@dataclass(frozen=True)
class _Line:
    """A line of a table: a model, and a sampler of it.

    Args:
        model: model, for the reader.
        name: name of the model's row.
        sampler: sampler.
        parts: parts with rows of both, of increasing seeds.
    """

    model: str
    name: str
    sampler: str
    parts: list[Part]

    @property
    def about(self) -> str:
        """Model and sampler, for the reader."""
        return f"{self.model}, {self.sampler}"

    @property
    def sampler_name(self) -> str:
        """Name of the sampler's row."""
        return f"{self.name} {self.sampler}"

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return a row of every seed."""
        return [part.rows[name] for part in self.parts]


def read_parts(data: Path) -> list[Part]:
    """Return the results in a data set's folder, by budget, number of images and seed."""
    parts = [Part(path.parent) for path in data.glob("*/study.json")]
    return sorted(parts, key=lambda p: (p.study["seconds"], p.study["n"], p.study["seed"]))


def write_reports(root: Path) -> Iterator[Path]:
    """Write `DATA/table-SECONDS.md` and the grids beside it of every budget with results."""
    for data in sorted(path for path in root.iterdir() if path.is_dir()):
        parts = read_parts(data)
        # Parts with fewer images belong to the curve of data efficiency.
        most = max((part.study["n"] for part in parts), default=0)
        parts = [part for part in parts if part.study["n"] == most]
        for seconds in sorted({part.study["seconds"] for part in parts}):
            yield _write_report(data, seconds, parts)


def _write_report(data: Path, seconds: float, parts: list[Part]) -> Path:
    own = [part for part in parts if part.study["seconds"] == seconds]
    longer = [part for part in parts if part.study["seconds"] == 2 * seconds]
    wanted = [*_lines(own, METHODS, ""), *_lines(longer, TWICE, ", 2 x seconds")]
    lines = [line for line in wanted if line.parts]
    text = _preface(own) + markdown(_heads(), [_floor(own), *map(_cells, lines)])
    notes = [f"- {line.about}: {said}.\n" for line in lines if (said := _notes(line))]
    text += f"\n{''.join(notes)}" if notes else ""
    missing = _missing(wanted)
    text += f"\nNot made: {missing}.\n" if missing else ""
    path = data / f"table-{seconds:g}.md"
    write_text(path, text)
    for kind in ("samples", "heldout"):
        strips = _strips(own, lines, kind)
        if strips:
            save_picture(_grid(strips), data / f"{kind}-{seconds:g}.png")
    return path


def _lines(parts: list[Part], names: Any, more: str) -> Iterator[_Line]:
    for name in names:
        method = METHODS[name]
        for sampler in method.samplers:
            row = f"{name} {sampler}"
            found = [part for part in parts if {name, row} <= part.rows.keys()]
            yield _Line(f"{method.about}{more}", name, sampler, found)


def _missing(lines: list[_Line]) -> str:
    """Return models and samplers without results, as "VAE (normal), GLANN-style (imle)"."""
    names: dict[str, list[str]] = {}
    for line in lines:
        if not line.parts:
            names.setdefault(line.model, []).append(line.sampler)
    return "; ".join(f"{model} ({', '.join(samplers)})" for model, samplers in names.items())


def _preface(parts: list[Part]) -> str:
    study, seeds = parts[0].study, len(parts)
    features = next((p.rows[FLOOR]["features"] for p in parts if FLOOR in p.rows), "not yet known")
    return (
        f"{study['data']}: {study['n']:,} training images, 32 x 32. {study['seconds']:g} CPU "
        f"seconds for each method on one thread, sampler included; mean and deviation over up to "
        f"{seeds} seed{'s' if seeds > 1 else ''}. {study['n_samples']:,} samples against as many "
        f"test images; the line '{FLOOR}', real images in place of samples, is the floor. "
        f"Features: {features}. Copying is C_T of the data-copying test: far below 0 means copies. "
        f"Held-out errors: {study['n_heldout']:,} test images, by one pass of the encoder and by a "
        "search through the decoder, whose time is not part of the budget. Errors: pixels in "
        "[-1, 1]. Pace: CPU milliseconds of a bare step of the decoder beside the two rows; where "
        f"it is higher, the machine was slower. {study['machine']}, torch {study['torch']}, "
        f"{study['date']}.\n\n"
    )


def _heads() -> list[str]:
    return ["method", "seeds", "train s", "fit s", "pace ms", *_MODEL, *_SAMPLER, "copying"]


def _floor(parts: list[Part]) -> list[str]:
    rows = [part.rows[FLOOR] for part in parts if FLOOR in part.rows]
    empty = [""] * (3 + len(_MODEL))
    return [FLOOR, str(len(rows)), *empty, *_sampled(rows)]


def _cells(line: _Line) -> list[str]:
    models, rows = line.rows(line.name), line.rows(line.sampler_name)
    paces = [sum(m["pace_ms"] + r["pace_ms"]) / 4 for m, r in zip(models, rows, strict=True)]
    return [
        line.about,
        str(len(rows)),
        spread([row["training"]["cpu"] for row in models], 0),
        spread([row["fitting"]["cpu"] for row in rows], 0),
        spread(paces, 0),
        *(_column(models, key, digits) for key, digits in _MODEL.values()),
        *_sampled(rows),
    ]


def _sampled(rows: list[dict[str, Any]]) -> list[str]:
    cells = [_column(rows, key, digits) for key, digits in _SAMPLER.values()]
    return [*cells, _column([row["memorisation"] for row in rows], "copying", 1)]


def _column(rows: list[dict[str, Any]], key: str, digits: int) -> str:
    values = [row[key] for row in rows if key in row]
    return spread(values, digits) if values else ""


def _notes(line: _Line) -> str:
    rows = [*line.rows(line.name), *line.rows(line.sampler_name)]
    return "; ".join(dict.fromkeys(note for row in rows for note in row["notes"]))


def _strips(parts: list[Part], lines: list[_Line], kind: str) -> dict[str, np.ndarray]:
    """Return images of every line by their labels, of the first seed."""
    floor = next((part for part in parts if FLOOR in part.rows), None)
    if floor is None:
        return {}
    strips = {FLOOR if kind == "samples" else "test images": floor.images(FLOOR)[kind]}
    for line in lines:
        first = line.parts[0]
        if kind == "samples":
            distance = first.rows[line.sampler_name]["fd"]
            strips[f"{line.about}  {distance:.1f}"] = first.images(line.sampler_name)[kind]
            continue
        # All samplers of a model have the same labels, and so one line.
        row = first.rows[line.name]
        for way in ("encoder", "search"):
            if f"{way}_mse" in row:
                label = f"{line.model}, {way}  {row[f'{way}_mse']:.4f}"
                strips[label] = first.images(line.name)[f"heldout_{way}"]
    return strips


def _grid(strips: dict[str, np.ndarray]) -> Image.Image:
    """Arrange labeled strips of images, one below the other."""
    side, channels = next(iter(strips.values())).shape[2:]
    shape = (len(strips) * (side + _GAP) + _GAP, _LABEL + KEPT * (side + 1) + _GAP)
    sheet = np.full((*shape, channels), 255, np.uint8)
    for number, strip in enumerate(strips.values()):
        top = _GAP + number * (side + _GAP)
        for column, tile in enumerate(strip[:KEPT]):
            left = _LABEL + column * (side + 1)
            sheet[top : top + side, left : left + side] = tile
    picture = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(_TEXT)
    for number, label in enumerate(strips):
        middle = _GAP + number * (side + _GAP) + side // 2
        pen.text((8, middle), label, fill=0, font=font, anchor="lm")
    return picture
