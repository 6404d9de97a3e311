"""`glo restore`: restoration of degraded images, or imputation of a table."""

import json
import re
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from glo.cli.impute import IncompleteInput, impute_table
from glo.cli.open_run import DecoderOption, open_with_decoder, print_remarks
from glo.errors import UserError
from glo.utils.files import fresh_path, parts_folder

if TYPE_CHECKING:
    from torch import Tensor

    from glo.data.options import Split
    from glo.utils.distributed import ProcessGroup
    from glo.workflows.encode import ProgressCallback
    from glo.workflows.inputs import Inputs
    from glo.workflows.parts import Parts
    from glo.workflows.restore import Degradation, Restoration
    from glo.workflows.run import Run

__all__ = ["restore"]

_Task = Literal["inpaint", "superres", "deblur", "denoise"]

_GRID_ROWS = 16
# One of 255 levels, where black is -1 and white is 1.
_LEVEL = 2 / 255
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
    diverse: Annotated[bool, Parameter(negative="")] = False,
    simulate: Annotated[bool, Parameter(negative="")] = False,
    split: Literal["train", "test"] = "train",
    limit: int | None = None,
    out: Path | None = None,
    decoder: DecoderOption = None,
) -> int:
    """Inpaint, enlarge, deblur or denoise images, or impute a table.

    Several solutions are searched for each image. The restored image is their mean, which is
    blurred where they differ; each solution is saved too. Started by torchrun, several processes
    restore one part each of the examples. A stopped command continues where it was if it is
    repeated.

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
        diverse: Search eight times as many solutions per image, and keep those farthest apart.
        simulate: Degrade FILES, which are clean, first, and measure the restoration.
        split: Split of the source.
        limit: Maximum number of examples.
        out: Folder for restored images, solutions, a grid of the first ones, and restored.json.
            [restored] For a run of vectors, a .csv, .parquet or .npy file. [restored, with the
            suffix of the table]
    """
    from glo.utils.distributed import ProcessGroup

    values = {"mask": mask, "hole": hole, "factor": factor, "sigma": sigma, "noise": noise}
    options = {name: value for name, value in values.items() if value is not None}
    ranks = ProcessGroup.join()
    try:
        opened = open_with_decoder(run, decoder)
        if not opened.is_images:
            unused = [*["task"] * (task != "inpaint"), *options, *["simulate"] * simulate]
            unused += ["diverse"] * diverse
            table = IncompleteInput(files=files, split=split, limit=limit, image_options=unused)
            k = 1 if n_solutions is None else n_solutions
            return impute_table(opened, table, ranks, n_solutions=k, out=out)
        options, k = _task_options(task, options), 8 if n_solutions is None else n_solutions
        out = out or fresh_path(Path("restored"))
        _check_out(out)
        inputs, degradation = _open(
            opened, files, task, options, split, limit, ranks, out, simulate=simulate
        )
        if ranks.is_main:
            print_remarks(opened, inputs.dataset)
        summary = {"run": str(run), "task": task, "n_solutions": k, "simulated": simulate}
        summary["diverse"] = diverse
        summary |= {
            name: str(value) if name == "mask" else value for name, value in options.items()
        }
        parts = _parts(opened, inputs, degradation, summary, out)
        code = _restore(opened, inputs, degradation, parts, ranks, summary, out)
    finally:
        ranks.shutdown()
    if code == 0 and ranks.is_main:
        _finish(inputs, parts, summary, out)
    return code


def _open(
    run: "Run",
    files: tuple[str, ...],
    task: str,
    options: dict[str, Any],
    split: "Split",
    limit: int | None,
    ranks: "ProcessGroup",
    out: Path,
    *,
    simulate: bool,
) -> tuple["Inputs", "Degradation"]:
    """Open the images and return them with what degrades them."""
    from glo.workflows.inputs import open_inputs
    from glo.workflows.restore import Degradation, mask_from_alpha

    degradation = _degradation(run, task, options)
    shape = None if simulate else degradation.shape(run.data.shape)
    shared = parts_folder(out) / "images"
    inputs = open_inputs(
        run, files, split=split, limit=limit, shape=shape, ranks=ranks, shared=shared
    )
    if task == "inpaint" and not options:
        degradation = Degradation(mask=mask_from_alpha(inputs))
    return inputs, degradation


def _parts(
    run: "Run", inputs: "Inputs", degradation: "Degradation", summary: dict[str, Any], out: Path
) -> "Parts":
    from glo.workflows.encode import batch_rows
    from glo.workflows.parts import Parts, digest, run_digest
    from glo.workflows.restore import searched_solutions

    mask = b"" if degradation.mask is None else degradation.mask.numpy().tobytes()
    options = {name: value for name, value in summary.items() if name != "run"}
    made_by = {
        "run": run_digest(run),
        "mask": digest(mask),
        "choice of options": json.dumps(options),
    }
    searched = searched_solutions(summary["n_solutions"], diverse=summary["diverse"])
    return Parts(parts_folder(out), inputs.dataset, batch_rows(searched), made_by)


def _restore(
    run: "Run",
    inputs: "Inputs",
    degradation: "Degradation",
    parts: "Parts",
    ranks: "ProcessGroup",
    summary: dict[str, Any],
    out: Path,
) -> int:
    """Restore the images of all parts that are missing, and return the exit code."""
    from glo.cli.parts import complete
    from glo.utils.json_toml import write_json
    from glo.workflows.restore import restore as restore_images

    def compute(rows: "Tensor", show: "ProgressCallback") -> dict[str, "Tensor"]:
        (batch,) = restore_images(
            run,
            inputs.dataset,
            degradation,
            run.initial_codes,
            rows=rows,
            n_solutions=summary["n_solutions"],
            diverse=summary["diverse"],
            simulate=summary["simulated"],
            callback=show,
        )
        # An unfinished folder is recognized by this file, and can be used again.
        write_json(out / _RECORDS, {**summary, "finished": False, "images": []})
        return _save(batch, inputs, out)

    return complete(parts, ranks, compute, len(inputs))


def _finish(inputs: "Inputs", parts: "Parts", summary: dict[str, Any], out: Path) -> None:
    """Write grid and records, and describe the images."""
    from glo.imaging.grids import grid, save_picture
    from glo.utils.json_toml import write_json

    table = parts.table()
    lines = table.pop("line")
    save_picture(grid(lines.flatten(0, 1), columns=lines.shape[1]), out / "grid.png")
    columns = {name: values.tolist() for name, values in table.items()}
    records = [
        {
            "name": name,
            "file": f"{_stem(inputs, row)}.png",
            **{column: values[row] for column, values in columns.items()},
        }
        for row, name in enumerate(inputs.names)
    ]
    write_json(out / _RECORDS, {**summary, "finished": True, "images": records})
    parts.remove()
    simulate = summary["simulated"]
    _print_summary(summary, records)
    shown = f"observation, restored{', the truth' * simulate}, {summary['n_solutions']} solutions"
    print(f"{out / 'grid.png'}, from left to right: {shown}\nEach image by itself: {out}")


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


def _save(batch: "Restoration", inputs: "Inputs", out: Path) -> dict[str, "Tensor"]:
    """Save the images of a batch, and return its columns and the first lines of the grid."""
    import torch

    from glo.imaging.grids import grid, save_picture

    for place, row in enumerate(batch.rows.tolist()):
        name = _stem(inputs, row)
        images = {f"{name}.png": batch.images[place]}
        for number, solution in enumerate(batch.solutions[place], start=1):
            images[f"solutions/{name}-{number}.png"] = solution
        for file, image in images.items():
            save_picture(grid(image.unsqueeze(0), frame=False), out / file)
    truth = [] if batch.truth is None else [batch.truth]
    line = torch.stack([batch.observations, batch.images, *truth], dim=1)
    residuals = batch.inversion.solution_residuals
    columns = {
        "residual": residuals[:, 0],
        "residuals": residuals,
        "spread": batch.spread,
        "steps": batch.inversion.steps,
        "converged": batch.inversion.converged,
        "line": torch.cat([line, batch.solutions], dim=1)[batch.rows < _GRID_ROWS],
    }
    figures = {"psnr": batch.psnr, "observed_psnr": batch.observed_psnr}
    return columns | {name: value for name, value in figures.items() if value is not None}


def _stem(inputs: "Inputs", row: int) -> str:
    """Return the name of an image's files, without their suffix."""
    stem = Path(inputs.names[row]).stem if inputs.files else inputs.names[row]
    # Every file system accepts such a name, and the number makes it unique.
    return f"{row:05d}-{re.sub(r'[^0-9A-Za-z.-]+', '_', stem)[:60].strip('_.')}"


def _print_summary(summary: dict[str, Any], records: list[dict[str, Any]]) -> None:
    task, simulate = summary["task"], summary["simulated"]

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
    agreeing = [record for record in records if record["spread"] < _LEVEL]
    if agreeing and summary["n_solutions"] > 1:
        advice = "" if summary["diverse"] else "; --diverse looks further apart"
        print(
            f"The solutions of {len(agreeing):,} of {len(records):,} images agree: they are less "
            f"than 1 of 255 levels apart{advice}."
        )
