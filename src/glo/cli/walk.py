"""`glo walk`: traversals of the code space of a run, as grids, videos and tables."""

import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, open_with_decoder
from glo.cli.rows import parse_rows
from glo.errors import UserError
from glo.utils.files import safe_name

if TYPE_CHECKING:
    from glo.data import Dataset
    from glo.runs.run import Run
    from glo.workflows.code_points import CodePoint
    from glo.workflows.traverse import Traversal

__all__ = ["walk"]

_Task = Literal["line", "grid", "sum", "principal", "neighbors"]

# Minimum and maximum number of points of each task, its steps, and the points in words.
_TASKS: dict[_Task, tuple[int, int, int, str]] = {
    "line": (2, 99, 12, "two to 99 points"),
    "grid": (3, 4, 8, "three or four points"),
    "sum": (0, 0, 12, "no points beside those of --from, --minus and --plus"),
    "principal": (0, 1, 11, "one point or none"),
    "neighbors": (1, 1, 2, "one point"),
}
_VIDEOS, _VIDEO_STEPS = (".gif", ".mp4"), 48


def walk(
    run: Path,
    /,
    *points: str,
    rows: str | None = None,
    path: Literal["straight", "sphere"] = "straight",
    grid: Annotated[bool, Parameter(negative="")] = False,
    begin: Annotated[str | None, Parameter("--from")] = None,
    minus: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    plus: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    strength: float = 1.0,
    principal: int | None = None,
    reach: float = 3.0,
    neighbors: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    data: str | None = None,
    out: Path | None = None,
    decoder: DecoderOption = None,
) -> int:
    """Walk through the code space of a run, and decode the codes on the way.

    A point is a training example by its row (12) or identity (cat/1.png), label:7 (the mean of that
    label's codes), sample:3 (sample number 3 of the seed), mean, or a file of one example, whose
    code is searched for.

    Args:
        run: Run folder.
        points: Two points or more: from the first to the last. With --grid three or four, with
            --neighbors one, with --principal one or none.
        path: Straight line, or arc of a sphere, along which the norm is kept.
        rows: Training examples in place of points, in this order: row numbers, ranges and
            identities, such as 3,17,40-49, or a text file of them, one a line.
        grid: Fill the triangle or the square between three or four points.
        begin: First point of vector arithmetic: the walk ends at FROM - MINUS + PLUS.
        minus: Point to subtract; repeatable.
        plus: Point to add; repeatable.
        strength: Factor of the added and subtracted points.
        principal: Number of principal directions of the codes, one line each, through a point;
            unset: through the training example nearest to the mean.
        reach: Length to both sides with --principal, in standard deviations of the codes.
        neighbors: Number of training examples to show, the nearest ones to a point.
        steps: Codes from one point to the next; unset: 12 on a line, 8 along the side of a grid,
            11 with --principal, 48 in a video.
        seed: Seed of the samples.
        data: Present path of the training data, for --neighbors; unset: the path in the run.
        out: A .png, .gif, .mp4 (with ffmpeg) or .csv file; unset: a file in the run's walks folder.
    """
    import torch

    from glo.latents.interpolation import arithmetic, grid_interpolate, interpolate
    from glo.workflows.code_points import CodePoints
    from glo.workflows.traverse import Traversal, save_traversal

    if bool(minus or plus) != (begin is not None):
        raise UserError("--from needs --minus or --plus, and they need --from; give both.")
    opened = open_with_decoder(run, decoder)
    name = None
    if rows is not None:
        if points:
            raise UserError("--rows and POINTS were both given; give one of them.")
        name = f"rows-{_short(rows)}"
        points = tuple(f"row:{row}" for row in parse_rows(opened.row_ids, rows, "--rows").tolist())
    task = _task(
        points,
        {
            "grid": ("--grid", grid),
            "sum": ("--from", begin is not None),
            "principal": ("--principal", principal is not None),
            "neighbors": ("--neighbors", neighbors is not None),
        },
    )
    names = [begin, *minus, *plus] if begin is not None else list(points)
    out = out or _default_out(opened, task, [name] if name else names)
    _check_out(opened, task, out)
    if steps is None:
        steps = _VIDEO_STEPS if out.suffix in _VIDEOS else _TASKS[task][2]
    finder = CodePoints(opened, seed=seed)
    located = [finder.find(name) for name in names]
    for point in located:
        if point.residual is not None:
            print(f"The code of {point.name} has a residual of {point.residual:.5f}.")
    if neighbors is not None:
        return _neighbors(opened, located[0], neighbors, data, out)
    if principal is not None:
        traversal = _principal(opened, located[0] if located else None, principal, steps, reach)
    else:
        codes = torch.stack([point.code for point in located])
        constraint = opened.settings.constraint
        if task == "sum":
            weights = [1.0, *[-strength] * len(minus), *[strength] * len(plus)]
            end = arithmetic(codes, weights, constraint=constraint)
            codes = torch.stack([codes[0], end])
        if grid:
            lines = grid_interpolate(codes, steps, path=path, constraint=constraint)
        else:
            lines = tuple(
                interpolate(a, b, steps, path=path, constraint=constraint)
                for a, b in pairwise(codes)
            )
        traversal = Traversal(lines=lines)
    save_traversal(opened, traversal, out)
    lengths = [len(line) for line in traversal.lines]
    print(f"{sum(lengths)} codes on {len(lengths)} line{'s' * (len(lengths) > 1)}: {out}")
    return 0


def _task(points: tuple[str, ...], options: dict[_Task, tuple[str, bool]]) -> _Task:
    """Return the task of the options, after checking that there is one, with enough points."""
    tasks = [task for task, (_, is_given) in options.items() if is_given]
    if len(tasks) > 1:
        names = " and ".join(options[task][0] for task in tasks)
        raise UserError(f"{names} are different walks; give one of them.")
    task: _Task = tasks[0] if tasks else "line"
    minimum, maximum, _, allowed = _TASKS[task]
    if not minimum <= len(points) <= maximum:
        subject = options[task][0] if tasks else "A walk"
        raise UserError(
            f"{subject} takes {allowed}, and {len(points)} were given; name them like 12, label:7, "
            f"sample:3, mean or a file."
        )
    return task


def _default_out(run: "Run", task: _Task, names: list[str]) -> Path:
    kind = [] if task == "line" else [task]
    name = safe_name("-".join([*kind, *(_short(name) for name in names)]))
    return run.folder / "walks" / f"{name}.{'png' if run.is_images else 'csv'}"


def _short(point: str) -> str:
    """Return a point for the name of a file: a file without its suffix, label:7 as label-7."""
    kind, colon, name = point.partition(":")
    if colon and kind in ("label", "sample", "row"):
        return f"{kind}-{name}"
    return os.path.splitext(point)[0]


def _check_out(run: "Run", task: _Task, out: Path) -> None:
    if not run.is_images and out.suffix != ".csv":
        raise UserError(
            f"--out is {out}, but {run.folder} was trained on vectors; give a .csv file."
        )
    videos = task not in ("grid", "neighbors")
    allowed = (".png", ".csv", *(_VIDEOS if videos else ()))
    if out.suffix not in allowed or out.is_dir():
        kinds = "a .png, .gif, .mp4 or .csv file" if videos else "a .png or .csv file"
        raise UserError(f"--out is {out}; it must be {kinds}.")


def _principal(
    run: "Run", point: "CodePoint | None", k: int, steps: int, reach: float
) -> "Traversal":
    from glo.latents.directions import principal_directions, walk_along
    from glo.latents.neighbours import neighbours
    from glo.workflows.traverse import Traversal

    directions = principal_directions(run.codes, k)
    # Few codes are near the mean, so the decoder may not be trained there.
    nearest = int(neighbours(run.codes, directions.mean, 1)[0])
    center, constraint = point.code if point else run.codes[nearest], run.settings.constraint
    lines = []
    for i in range(k):
        share, deviation = 100 * float(directions.shares[i]), float(directions.deviations[i])
        print(f"direction {i + 1}: {share:.1f} % of the variance, deviation {deviation:.3f}")
        line = walk_along(directions, i, steps, reach=reach, about=center, constraint=constraint)
        lines.append(line)
    return Traversal(lines=tuple(lines), video="parallel")


def _neighbors(run: "Run", point: "CodePoint", k: int, data: str | None, out: Path) -> int:
    from glo.latents.neighbours import neighbours
    from glo.workflows.traverse import draw_neighbors, save_neighbors

    if k < 1:
        raise UserError(f"--neighbors is {k}; give 1 or more.")
    # A training example is its own nearest neighbor, which is left out.
    rows, distances = neighbours(run.codes, point.code, k + (point.row is not None))
    others = rows != (-1 if point.row is None else point.row)
    rows, distances = rows[others][:k], distances[others][:k]
    for row, distance in zip(rows.tolist(), distances.tolist(), strict=True):
        print(f"example{run.row_ids.describe([row]).removeprefix('row')}: {distance:.4f} away")
    if out.suffix == ".csv":
        save_neighbors(run, rows, distances, out)
    else:
        draw_neighbors(run, point, rows, _open_data(run, data), out)
    print(f"The {len(rows)} training examples nearest to {point.name}: {out}")
    return 0


def _open_data(run: "Run", data: str | None) -> "Dataset | None":
    try:
        return run.open_data(data, command=f"glo walk {run.folder} ... --data")
    except UserError as error:
        if data is not None:
            raise
        print(f"Decoded images only. {error}")
        return None
