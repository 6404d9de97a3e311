"""Reader of the results folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.plateau.cells import CELLS

__all__ = ["Result", "Results", "read_results"]


@dataclass(frozen=True)
class Result:
    """Result of one cell.

    Args:
        data: what `make_cell` gave.
    """

    data: dict[str, Any]

    @property
    def name(self) -> str:
        """The cell."""
        return str(self.data["name"])

    @property
    def train(self) -> float:
        """Error on training images; infinite after divergence."""
        return float("inf") if self.data["train"] is None else float(self.data["train"])

    @property
    def unseen(self) -> float:
        """Error on unseen images by inversion; infinite after divergence."""
        return float("inf") if self.data["unseen"] is None else float(self.data["unseen"])

    @property
    def mean_image(self) -> float:
        """Error of the mean image on the training images."""
        return float(self.data["mean_image"])

    @property
    def first(self) -> dict[str, float]:
        """Record of the first epoch."""
        return self._epoch(0)

    @property
    def last(self) -> dict[str, float]:
        """Record of the last epoch."""
        return self._epoch(-1)

    def _epoch(self, place: int) -> dict[str, float]:
        epochs: list[dict[str, float]] = self.data["epochs"]
        return epochs[place] if epochs else {}


@dataclass(frozen=True)
class Results:
    """Results of all finished cells.

    Args:
        folder: of the results.
        cells: by name, in the study's order.
        baselines: by number of images.
    """

    folder: Path
    cells: dict[str, Result]
    baselines: dict[str, Any]

    def of(self, group: str) -> list[Result]:
        """Return the cells of a group."""
        return [cell for cell in self.cells.values() if cell.data["group"] == group]

    def get(self, name: str) -> Result | None:
        """Return a cell, or None if it is missing."""
        return self.cells.get(name)


def read_results(folder: Path) -> Results:
    """Read a results folder; unknown cells come last."""
    found = {path.stem: path for path in sorted((folder / "cells").glob("*.json"))}
    order = [cell.name for cell in CELLS if cell.name in found]
    order += [name for name in found if name not in set(order)]
    cells = {name: Result(json.loads(found[name].read_text("utf-8"))) for name in order}
    return Results(folder, cells, json.loads((folder / "baselines.json").read_text("utf-8")))
