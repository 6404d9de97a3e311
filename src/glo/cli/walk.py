"""`glo walk`: ways through the code space of a run, as pictures, films and tables."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, open_with_decoder

if TYPE_CHECKING:
    from torch import Tensor

    from glo.data import Dataset
    from glo.latents.interpolation import Path as WalkPath
    from glo.runs.run import Run
    from glo.workflows.code_points import CodePoint
    from glo.workflows.traverse import Walk

__all__ = ["walk"]

_Task = Literal["line", "grid", "sum", "principal", "neighbours"]

# How many points each takes.
_COUNTS: dict[_Task, tuple[int, int, str]] = {
    "line": (2, 99, "two points or more"),
    "grid": (3, 4, "three or four points"),
    "sum": (0, 0, "no points beside those of --from, --minus and --plus"),
    "principal": (0, 1, "one point or none"),
    "neighbours": (1, 1, "one point"),
}
_STEPS: dict[_Task, int] = {"line": 12, "sum": 12, "grid": 8, "principal": 11, "neighbours": 2}
_FILM, _FILM_STEPS = (".gif", ".mp4"), 48


def walk(
    run: Path,
    /,
    *points: str,
    path: Literal["straight", "sphere"] = "straight",
    grid: Annotated[bool, Parameter(negative="")] = False,
    begin: Annotated[str | None, Parameter("--from")] = None,
    minus: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    plus: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    strength: float = 1.0,
    principal: int | None = None,
    reach: float = 3.0,
    neighbours: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    data: str | None = None,
    out: Path | None = None,
    decoder: DecoderOption = None,
) -> int:
    """Walk through the code space of a run, and draw what its decoder makes on the way.

    A point is the row of a training example (12), label:7 (the mean of that label's codes),
    sample:3 (sample number 3 of the seed), mean, or a file of one example, whose code is searched
    for.

    Args:
        run: The run folder.
        points: Two points or more: from the first to the last. With --grid three or four, with
            --neighbours one, with --principal one or none.
        path: Straight, or along the sphere, which keeps the distance to the centre.
        grid: Fill the triangle or the square between three or four points.
        begin: A point to which others are added: the walk ends at FROM - MINUS + PLUS.
        minus: A point to take away; may be given several times.
        plus: A point to add; may be given several times.
        strength: Factor of what is added and taken away.
        principal: Walk along so many principal directions of the codes, one line each, about a
            point; unset: the training example nearest to the mean.
        reach: How far to both sides with --principal, in standard deviations of the codes.
        neighbours: Show so many training examples, those nearest to a point.
        steps: Pictures from one point to the next; unset: 12 on a strip, 8 along the side of a
            grid, 11 with --principal, 48 in a film.
        seed: Of the samples that are points.
        data: Where the training data lie now, for --neighbours; unset: where the run got them from.
        out: A .png, .gif or .mp4 (which needs ffmpeg), or a .csv of codes; unset: in the run's
            walks folder.
    """
    from glo.workflows.code_points import CodePoints

    terms = (begin, minus, plus)
    task = _task(points, grid=grid, terms=terms, principal=principal, neighbours=neighbours)
    opened = open_with_decoder(run, decoder)
    words = [begin, *minus, *plus] if begin is not None else list(points)
    out = out or _place(opened, task, words)
    _check_out(opened, task, out)
    if steps is None:
        steps = _FILM_STEPS if out.suffix in _FILM else _STEPS[task]
    found = CodePoints(opened, seed=seed).find_all(words)
    for point in found:
        if point.residual is not None:
            print(f"The code of {point.word} was found with a residual of {point.residual:.5f}.")
    if neighbours is not None:
        return _neighbours(opened, found[0], neighbours, data, out)
    if principal is not None:
        return _save(opened, _principal(opened, found, principal, steps, reach), out)
    weights = [1.0, *[-strength] * len(minus), *[strength] * len(plus)]
    codes = _sum(opened, found, weights) if task == "sum" else [point.code for point in found]
    return _save(opened, _between(opened, codes, steps, path, grid=grid), out)


def _task(
    points: tuple[str, ...],
    *,
    grid: bool,
    terms: tuple[str | None, tuple[str, ...], tuple[str, ...]],
    principal: int | None,
    neighbours: int | None,
) -> _Task:
    """Return what is asked for, after checking that it is one thing, with as many points."""
    from glo.errors import UserError

    begin, minus, plus = terms
    if bool(minus or plus) != (begin is not None):
        raise UserError(
            "--from names a point and --minus and --plus change it; give it and one of them."
        )
    asked: dict[_Task, tuple[str, bool]] = {
        "grid": ("--grid", grid),
        "sum": ("--from", begin is not None),
        "principal": ("--principal", principal is not None),
        "neighbours": ("--neighbours", neighbours is not None),
    }
    given = [task for task, (_, is_given) in asked.items() if is_given]
    if len(given) > 1:
        names = " and ".join(asked[task][0] for task in given)
        raise UserError(f"{names} are different walks; give one of them.")
    task: _Task = given[0] if given else "line"
    least, most, allowed = _COUNTS[task]
    if not least <= len(points) <= most:
        what = f"{asked[task][0]} takes" if given else "A walk takes"
        raise UserError(
            f"{what} {allowed}, and {len(points)} were given; name them like 12, label:7, "
            f"sample:3, mean or a file."
        )
    return task


def _place(run: "Run", task: _Task, words: list[str]) -> Path:
    kind = [] if task == "line" else [task]
    name = "-".join([*kind, *(Path(word).stem for word in words)])
    name = re.sub(r"[^0-9A-Za-z.-]+", "-", name)[:80].strip("-.")
    return run.folder / "walks" / f"{name}.{'png' if run.is_images else 'csv'}"


def _check_out(run: "Run", task: _Task, out: Path) -> None:
    from glo.errors import UserError

    if len(run.data.shape) != 3 and out.suffix != ".csv":
        raise UserError(
            f"--out is {out}, but {run.folder} was trained on vectors, of which there are no "
            f"pictures; give a name that ends in .csv."
        )
    films = task not in ("grid", "neighbours")
    allowed = (".png", ".csv", *(_FILM if films else ()))
    if out.suffix not in allowed or out.is_dir():
        kinds = "a .png, .gif, .mp4 or .csv file" if films else "a .png or .csv file with this walk"
        raise UserError(f"--out is {out}; it must be {kinds}.")


def _between(
    run: "Run", codes: "list[Tensor]", steps: int, path: "WalkPath", *, grid: bool
) -> "Walk":
    from itertools import pairwise

    import torch

    from glo.latents.interpolation import grid_interpolate, interpolate
    from glo.workflows.traverse import Walk

    held = run.settings.constraint
    if grid:
        return Walk(lines=grid_interpolate(torch.stack(codes), steps, path=path, constraint=held))
    legs = (interpolate(a, b, steps, path=path, constraint=held) for a, b in pairwise(codes))
    return Walk(lines=tuple(legs))


def _sum(run: "Run", found: "list[CodePoint]", weights: list[float]) -> "list[Tensor]":
    import torch

    from glo.latents.interpolation import arithmetic

    codes = torch.stack([point.code for point in found])
    return [codes[0], arithmetic(codes, weights, constraint=run.settings.constraint)]


def _principal(run: "Run", found: "list[CodePoint]", k: int, steps: int, reach: float) -> "Walk":
    from glo.latents.directions import principal_directions, walk_along
    from glo.latents.neighbours import neighbours
    from glo.workflows.traverse import Walk

    directions = principal_directions(run.codes, k)
    # Few codes lie near the mean itself, so a decoder may make nothing of it.
    near = int(neighbours(run.codes, directions.mean, 1)[0])
    about, held = found[0].code if found else run.codes[near], run.settings.constraint
    for place in range(k):
        share, width = 100 * float(directions.shares[place]), float(directions.deviations[place])
        print(
            f"direction {place + 1}: {share:.1f} % of the variance, standard deviation {width:.3f}"
        )
    lines = (
        walk_along(directions, place, steps, reach=reach, about=about, constraint=held)
        for place in range(k)
    )
    return Walk(lines=tuple(lines), film="at once")


def _neighbours(run: "Run", point: "CodePoint", k: int, data: str | None, out: Path) -> int:
    from glo.errors import UserError
    from glo.latents.neighbours import neighbours
    from glo.workflows.traverse import draw_neighbours, save_neighbours

    if k < 1:
        raise UserError(f"--neighbours is {k}; give 1 or more.")
    # A training example is the nearest to itself, which nobody asks for.
    itself = point.row is not None
    rows, distances = neighbours(run.codes, point.code, k + itself)
    others = rows != (-1 if point.row is None else point.row)
    rows, distances = rows[others][:k], distances[others][:k]
    for row, distance in zip(rows.tolist(), distances.tolist(), strict=True):
        print(f"example {row:,}: {distance:.4f} away")
    if out.suffix == ".csv":
        save_neighbours(run, rows, distances, out)
    else:
        draw_neighbours(run, point, rows, _real(run, data), out)
    print(f"The {len(rows)} training examples nearest to {point.word}: {out}")
    return 0


def _real(run: "Run", data: str | None) -> "Dataset | None":
    from glo.errors import UserError

    try:
        return run.open_data(data, command=f"glo walk {run.folder} ... --data")
    except UserError as error:
        if data is not None:
            raise
        print(f"Only what the decoder makes is shown. {error}")
        return None


def _save(run: "Run", way: "Walk", out: Path) -> int:
    from glo.workflows.traverse import save_walk

    save_walk(run, way, out)
    what = f"{sum(map(len, way.lines))} codes on {len(way.lines)} line{'s' * (len(way.lines) > 1)}"
    print(f"{what}: {out}")
    return 0
