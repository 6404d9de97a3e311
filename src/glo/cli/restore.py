"""`glo restore`: restoration of degraded images, or imputation of a table."""

import re
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from glo.cli.impute import impute_table
from glo.cli.open_run import DecoderOption, open_with_decoder, print_remarks
from glo.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from glo.runs.run import Run
    from glo.workflows.inputs import Inputs
    from glo.workflows.restore import Degradation, Restoration

__all__ = ["restore"]

_Task = Literal["inpaint", "superres", "deblur", "denoise"]

_GRID_ROWS = 16
_RECORDS = "restored.json"
# The task of each option, and the default options of each task.
_TASKS = {
    "mask": "inpaint",
    "hole": "inpaint",
    "factor": "superres",
    "sigma": "deblur",
    "noise": "denoise",
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "superres": {"factor": 4},
    "deblur": {"sigma": 1.5},
    "denoise": {"noise": 0.5},
}


def restore(
    run: Path,
    /,
    *files: str,
    task: _Task = "inpaint",
    mask: Path | None = None,
    hole: str | None = None,
    factor: int | None = None,
    sigma: float | None = None,
    noise: float | None = None,
    n_solutions: int | None = None,
    simulate: Annotated[bool, Parameter(negative="")] = False,
    split: Literal["train", "test"] = "train",
    limit: int | None = None,
    out: Path | None = None,
    decoder: DecoderOption = None,
) -> int:
    """Inpaint, enlarge, deblur or denoise images, or impute a table.

    Several solutions are searched for each image. The restored image is their mean, which is
    blurred where they differ; each solution is saved too.

    A run of vectors imputes the missing values of a table and keeps the known values. Its options
    are --n-solutions, --split, --limit and --out.

    Args:
        run: Run folder.
        files: Degraded images: files, folders of images, or one .npy or .npz file, folder of IDX
            files, or mnist, of the size that the task leaves of the run's images. For a run of
            vectors: one .csv, .parquet, .npy or .npz file.
        task: inpaint: missing pixels; superres: enlarge; deblur: sharpen; denoise: remove noise.
        mask: For inpaint, an image of the same size: white is known, black or transparent is
            missing. Without --mask and --hole, the transparent pixels of FILES are missing.
        hole: For inpaint, missing region of every image: left, right, top, bottom (halves), or
            center:SIDE, a square.
        factor: For superres, scale factor; images are reduced by the mean of squares. [4]
        sigma: For deblur, standard deviation of the Gaussian blur in pixels. [1.5]
        noise: For denoise, standard deviation of the noise, where black is -1 and white is 1. [0.5]
        n_solutions: Number of solutions per image [8] or row [1], whose mean is the result.
        simulate: Degrade FILES, which are clean, first, and measure the restoration.
        split: Split of the source.
        limit: Maximum number of examples.
        out: Folder for restored images, solutions, a grid of the first ones, and restored.json.
            [restored] For a run of vectors, a .csv, .parquet or .npy file. [restored, with the
            suffix of the table]
    """
    from glo.cli.progress import TaskProgress
    from glo.utils.json_toml import write_json
    from glo.workflows.encode import prepare_search
    from glo.workflows.inputs import open_inputs
    from glo.workflows.restore import Degradation, mask_from_alpha
    from glo.workflows.restore import restore as restore_images

    values = {"mask": mask, "hole": hole, "factor": factor, "sigma": sigma, "noise": noise}
    options = {name: value for name, value in values.items() if value is not None}
    opened = open_with_decoder(run, decoder)
    if not opened.is_images:
        unused = [*["task"] * (task != "inpaint"), *options, *["simulate"] * simulate]
        k = 1 if n_solutions is None else n_solutions
        return impute_table(opened, files, unused, n_solutions=k, split=split, limit=limit, out=out)
    options, k = _task_options(task, options), 8 if n_solutions is None else n_solutions
    out = out or Path("restored")
    _check_out(out)
    degradation = _degradation(opened, task, options)
    shape = None if simulate else degradation.shape(opened.data.shape)
    inputs = open_inputs(opened, files, split=split, limit=limit, shape=shape)
    if task == "inpaint" and not options:
        degradation = Degradation(mask=mask_from_alpha(inputs))
    print_remarks(opened, inputs.dataset)
    summary = {"run": str(run), "task": task, "n_solutions": k, "simulated": simulate}
    summary |= {name: str(value) if name == "mask" else value for name, value in options.items()}
    initial_codes = prepare_search(opened)
    with TaskProgress() as bar:
        bar.show("restoring", 0, len(inputs))
        batches = restore_images(
            opened,
            inputs,
            degradation,
            initial_codes,
            n_solutions=k,
            simulate=simulate,
            callback=bar.show,
        )
        records = _save(batches, inputs, out, summary)
    write_json(out / _RECORDS, {**summary, "finished": True, "images": records})
    _print_summary(task, records, simulate=simulate)
    columns = f"observation, restored{', the truth' * simulate}, {k} solutions"
    print(f"{out / 'grid.png'}, from left to right: {columns}\nEach image by itself: {out}")
    return 0


def _task_options(task: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a task with its defaults, after checking that there are no others."""
    for name in options:
        if task != _TASKS[name]:
            raise UserError(
                f"--{name} is for --task {_TASKS[name]}, but the task is {task}; leave one out."
            )
    if len(options) > 1:
        raise UserError("--mask and --hole exclude each other; give one of them.")
    return _DEFAULTS.get(task, {}) | options


def _check_out(out: Path) -> None:
    if out.is_file():
        raise UserError(f"--out is {out}, a file; give a folder.")
    if out.is_dir() and not (out / _RECORDS).is_file() and next(out.iterdir(), None) is not None:
        raise UserError(f"--out is {out}, which has other files; give a new or empty folder.")


def _degradation(run: "Run", task: str, options: dict[str, Any]) -> "Degradation":
    from glo.inversion import AveragePool, Blur
    from glo.workflows.restore import Degradation, mask_from_file, mask_from_name

    if task == "superres":
        return Degradation(operator=AveragePool(factor=options["factor"]))
    if task == "deblur":
        return Degradation(operator=Blur(sigma=options["sigma"]))
    if task == "denoise":
        return Degradation(noise=options["noise"])
    if "mask" in options:
        return Degradation(mask=mask_from_file(options["mask"], run.data.shape))
    if "hole" in options:
        return Degradation(mask=mask_from_name(options["hole"], run.data.shape))
    return Degradation()


def _save(
    batches: "Iterator[Restoration]", inputs: "Inputs", out: Path, summary: dict[str, Any]
) -> list[dict[str, Any]]:
    """Save images batch by batch and a grid of the first ones, and return a record per image."""
    import torch

    from glo.imaging.grids import grid, save_picture
    from glo.utils.json_toml import write_json

    records: list[dict[str, Any]] = []
    lines: list[Tensor] = []
    for batch in batches:
        if not records:
            # An unfinished folder is recognized by this file, and can be used again.
            write_json(out / _RECORDS, {**summary, "finished": False, "images": []})
        for place in range(len(batch.rows)):
            records.append(_save_image(batch, place, inputs, out))
            if len(lines) < _GRID_ROWS:
                truth = [] if batch.truth is None else [batch.truth[place]]
                line = [batch.observations[place], batch.images[place], *truth]
                lines.append(torch.stack([*line, *batch.solutions[place]]))
    save_picture(grid(torch.cat(lines), columns=len(lines[0])), out / "grid.png")
    return records


def _save_image(batch: "Restoration", place: int, inputs: "Inputs", out: Path) -> dict[str, Any]:
    from glo.imaging.grids import grid, save_picture

    row, inversion = int(batch.rows[place]), batch.inversion
    stem = Path(inputs.names[row]).stem if inputs.files else inputs.names[row]
    # Every file system accepts such a name, and the number makes it unique.
    name = f"{row:05d}-{re.sub(r'[^0-9A-Za-z.-]+', '_', stem)[:60].strip('_.')}"
    images = {f"{name}.png": batch.images[place]}
    for number, solution in enumerate(batch.solutions[place], start=1):
        images[f"solutions/{name}-{number}.png"] = solution
    for file, image in images.items():
        save_picture(grid(image.unsqueeze(0), frame=False), out / file)
    record = {
        "name": inputs.names[row],
        "file": f"{name}.png",
        "residual": float(inversion.solution_residuals[place, 0]),
        "residuals": inversion.solution_residuals[place].tolist(),
        "spread": float(batch.spread[place]),
        "steps": int(inversion.steps[place]),
        "converged": bool(inversion.converged[place]),
    }
    for figure in ("psnr", "observed_psnr"):
        values = getattr(batch, figure)
        if values is not None:
            record[figure] = float(values[place])
    return record


def _print_summary(task: str, records: list[dict[str, Any]], *, simulate: bool) -> None:
    def mean(figure: str) -> float:
        return fmean(record[figure] for record in records)

    print(
        f"{len(records):,} image{'s' * (len(records) > 1)}, {task}: residual "
        f"{mean('residual'):.5f} on average, solutions {mean('spread'):.3f} apart"
    )
    if simulate:
        before = f", {mean('observed_psnr'):.2f} dB before" if "observed_psnr" in records[0] else ""
        region = "the missing pixels" if task == "inpaint" else "the images"
        print(f"PSNR of {region}: {mean('psnr'):.2f} dB on average{before}")
