"""`glo restore`: damaged images or tables with gaps, restored by a run that knows their kind."""

import re
import sys
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from glo.cli.impute import fill_table
from glo.cli.open_run import DecoderOption, open_with_decoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from glo.runs.run import Run
    from glo.workflows.inputs import Inputs
    from glo.workflows.restore import Degradation, Restoration

__all__ = ["restore"]

_SHOWN = 16
_FACTS = "restored.json"
_OWNERS = {
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
    task: Literal["inpaint", "superres", "deblur", "denoise"] = "inpaint",
    mask: Path | None = None,
    hole: str | None = None,
    factor: int | None = None,
    sigma: float | None = None,
    noise: float | None = None,
    answers: int | None = None,
    simulate: Annotated[bool, Parameter(negative="")] = False,
    split: Literal["train", "test"] = "train",
    limit: int | None = None,
    out: Path | None = None,
    decoder: DecoderOption = None,
) -> int:
    """Fill in, enlarge, sharpen or clean damaged images, or fill the gaps of a table.

    Several answers are sought for each image. The restored image is their mean, which is blurred
    where they differ; the answers are written by themselves too.

    A run of vectors fills the gaps of a table; what is known stays as it is. The options for it are
    --answers, --split, --limit and --out.

    Args:
        run: The run folder.
        files: The damaged images: files, folders of them, or one .npy or .npz file, folder of IDX
            files, or mnist. They must have the size that the task leaves of the run's images. For
            a run of vectors: one .csv, .parquet, .npy or .npz file.
        task: inpaint fills in what is missing, superres enlarges, deblur sharpens, denoise takes
            noise away.
        mask: For inpaint, an image as large as the others: white is known, black or transparent is
            missing. Without --mask and --hole, the transparent pixels of FILES are missing.
        hole: For inpaint, what is missing of every image: left, right, top, bottom (halves), or
            center:SIDE, a square.
        factor: For superres, how many times larger; images were shrunk by the mean of squares. [4]
        sigma: For deblur, standard deviation of the Gaussian blur in pixels. [1.5]
        noise: For denoise, standard deviation of the noise, where black is -1 and white is 1. [0.5]
        answers: How many answers for each image [8] or row [1], whose gaps get their mean.
        simulate: FILES are whole and clean: damage them first, to see how well it works.
        split: Which part of a source that has two.
        limit: The first so many alone.
        out: Folder for restored images, answers, a grid of the first ones, and restored.json.
            [restored] For a run of vectors, a .csv, .parquet or .npy file. [restored.csv, or as
            the table ends]
    """
    import torch

    from glo.imaging.grids import grid, save_picture
    from glo.utils.json_toml import write_json
    from glo.workflows.encode import prepare_search
    from glo.workflows.inputs import open_inputs
    from glo.workflows.json_values import plain
    from glo.workflows.masks import mask_from_alpha
    from glo.workflows.restore import Degradation
    from glo.workflows.restore import restore as undo

    words = {"mask": mask, "hole": hole, "factor": factor, "sigma": sigma, "noise": noise}
    given = {name: value for name, value in words.items() if value is not None}
    opened = open_with_decoder(run, decoder)
    if len(opened.data.shape) != 3:
        for_images = [*["task"] * (task != "inpaint"), *given, *["simulate"] * simulate]
        return fill_table(
            opened, files, for_images, answers=answers, split=split, limit=limit, out=out
        )
    own, answers = _own(task, given), 8 if answers is None else answers
    out = out or Path("restored")
    _check_out(out)
    damage = _damage(opened, task, own)
    shape = None if simulate else damage.shape(opened.data.shape)
    seen = open_inputs(opened, files, split=split, limit=limit, shape=shape)
    if task == "inpaint" and not own:
        damage = Degradation(observed=mask_from_alpha(seen))
    for sentence in seen.skipped:
        print(f"Skipped {sentence}", file=sys.stderr)
    starts = prepare_search(opened)
    about = {"run": str(run), "task": task, "answers": answers, "simulated": simulate}
    about |= {name: str(value) if name == "mask" else value for name, value in own.items()}
    parts = undo(opened, seen, damage, starts=starts, answers=answers, simulate=simulate)
    records, lines = _follow(parts, seen, out, plain(about))
    picture = save_picture(grid(torch.cat(lines), columns=len(lines[0])), out / "grid.png")
    write_json(out / _FACTS, plain({**about, "finished": True, "images": records}))
    _conclude(task, records, simulate=simulate)
    columns = f"observation, restored{', the truth' * simulate}, {answers} answers"
    print(f"{picture}, from left to right: {columns}\nEach image by itself: {out}")
    return 0


def _own(task: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the task, after checking that the user gave no others."""
    from glo.errors import UserError

    for name in given:
        if task != _OWNERS[name]:
            raise UserError(
                f"--{name} is for --task {_OWNERS[name]}, but the task is {task}; leave one away."
            )
    if len(given) > 1:
        raise UserError("--mask and --hole both say what is missing; give one of them.")
    return _DEFAULTS.get(task, {}) | given


def _check_out(out: Path) -> None:
    from glo.errors import UserError

    if out.is_file():
        raise UserError(f"--out is {out}, a file; give a folder.")
    if out.is_dir() and not (out / _FACTS).is_file() and next(out.iterdir(), None) is not None:
        raise UserError(f"--out is {out}, which holds something else; give a new or empty folder.")


def _damage(run: "Run", task: str, own: dict[str, Any]) -> "Degradation":
    from glo.inversion import AveragePool, Blur
    from glo.workflows.masks import mask_from_file, mask_from_word
    from glo.workflows.restore import Degradation

    shape = run.data.shape
    if task == "superres":
        return Degradation(operator=AveragePool(factor=own["factor"]))
    if task == "deblur":
        return Degradation(operator=Blur(sigma=own["sigma"]))
    if task == "denoise":
        return Degradation(noise=own["noise"])
    if "mask" in own:
        return Degradation(observed=mask_from_file(own["mask"], shape))
    return (
        Degradation(observed=mask_from_word(own["hole"], shape)) if "hole" in own else Degradation()
    )


def _follow(
    parts: "Iterator[Restoration]", seen: "Inputs", out: Path, about: dict[str, Any]
) -> tuple[list[dict[str, Any]], list["Tensor"]]:
    """Write each part as it comes, and return what is told of every image and the first of them.

    Returns:
        a record for each image, and for each of the first a line of the grid, (k, C, H, W).
    """
    import torch

    from glo.cli.progress import ProgressBar
    from glo.utils.json_toml import write_json

    records: list[dict[str, Any]] = []
    lines: list[Tensor] = []
    with ProgressBar() as bar:
        bar.show("restoring", 0, len(seen))
        for part in parts:
            if not records:
                # A folder that is left half filled is known by it, and filled again.
                write_json(out / _FACTS, {**about, "finished": False, "images": []})
            for place in range(len(part.rows)):
                records.append(_write(part, place, seen, out))
                if len(lines) < _SHOWN:
                    truth = [] if part.truth is None else [part.truth[place]]
                    line = [part.seen[place], part.images[place], *truth, *part.answers[place]]
                    lines.append(torch.stack(line))
            bar.show("restoring", len(records), len(seen))
    return records, lines


def _write(part: "Restoration", place: int, seen: "Inputs", out: Path) -> dict[str, Any]:
    from glo.imaging.grids import grid, save_picture

    row = int(part.rows[place])
    stem = Path(seen.names[row]).stem if seen.files else seen.names[row]
    # Any name becomes one that every file system takes, and the number keeps two apart.
    name = f"{row:05d}-{re.sub(r'[^0-9A-Za-z.-]+', '_', stem)[:60].strip('_.')}"
    images = {f"{name}.png": part.images[place]}
    for number, answer in enumerate(part.answers[place], start=1):
        images[f"answers/{name}-{number}.png"] = answer
    for file, image in images.items():
        save_picture(grid(image.unsqueeze(0), frame=False), out / file)
    record = {
        "name": seen.names[row],
        "file": f"{name}.png",
        "residual": float(part.residuals[place, 0]),
        "residuals": part.residuals[place].tolist(),
        "spread": float(part.spread[place]),
        "steps": int(part.steps[place]),
        "converged": bool(part.converged[place]),
    }
    for figure in ("psnr", "seen_psnr"):
        values = getattr(part, figure)
        if values is not None:
            record[figure] = float(values[place])
    return record


def _conclude(task: str, records: list[dict[str, Any]], *, simulate: bool) -> None:
    def mean(figure: str) -> float:
        return fmean(record[figure] for record in records)

    count = f"{len(records):,} image{'s' * (len(records) > 1)}"
    print(
        f"{count}, {task}: residual {mean('residual'):.5f} on average, answers "
        f"{mean('spread'):.3f} apart"
    )
    if simulate:
        before = f", {mean('seen_psnr'):.2f} dB before" if "seen_psnr" in records[0] else ""
        region = "what was missing" if task == "inpaint" else "the images"
        print(f"PSNR of {region}: {mean('psnr'):.2f} dB on average{before}")
