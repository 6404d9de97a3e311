"""`glo sample`: new examples from a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, open_with_decoder

if TYPE_CHECKING:
    from torch import Tensor

    from glo.runs.run import Run

__all__ = ["sample"]


def sample(
    run: Path,
    /,
    *,
    n: int = 64,
    seed: int = 0,
    prior: str | None = None,
    label: str | None = None,
    temperature: float = 1.0,
    out: Path | None = None,
    separate: Annotated[bool, Parameter(negative="")] = False,
    decoder: DecoderOption = None,
) -> int:
    """Draw new examples from the prior of a run, without its data.

    Sample j of a seed is always the same, however many are drawn.

    Args:
        run: The run folder.
        n: How many.
        seed: Which sequence of samples.
        prior: gaussian, mixture, flow-matching, normalizing-flow or imle; one that the run does not
            have yet is fitted first and kept. Unset: the run's own.
        label: Only examples of this label, by number or name, where the data had labels.
        temperature: Factor of the prior's spread; below 1: more typical, less varied.
        out: A .png for a grid, a .npy for numbers, a folder with --separate; of vectors also a
            .csv or .parquet file; unset: in the run's samples folder.
        separate: Write every example as a file of its own.
    """
    import numpy as np

    from glo.data import to_uint8
    from glo.data.table_writer import save_vectors
    from glo.errors import UserError
    from glo.imaging.grids import grid, save_picture

    opened = open_with_decoder(run, decoder)
    if n < 1:
        raise UserError(f"--n is {n}; it must be at least 1.")
    images = opened.is_images
    chosen = prior or opened.prior_name
    which = "" if label is None else f"-label-{label.replace('/', '_')}"
    name = f"{chosen}{which}-seed{seed}-n{n}"
    out = out or run / "samples" / (name if separate else f"{name}.{'png' if images else 'npy'}")
    if not separate:
        _check_out(opened, out)
    _fit_if_missing(opened, chosen)
    examples = opened.sample(n, seed=seed, temperature=temperature, prior=chosen, label=label)
    if separate:
        return _write_each(examples, out, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    if not images:
        save_vectors(out, examples.numpy())
    elif out.suffix == ".npy":
        np.save(out, to_uint8(examples))
    else:
        save_picture(grid(examples), out)
    print(f"{n} samples of seed {seed} from the {chosen} prior: {out}")
    return 0


def _check_out(opened: "Run", out: Path) -> None:
    from glo.data.table_writer import check_table
    from glo.errors import UserError

    if len(opened.data.shape) != 3:
        check_table(out, f"{opened.folder} was trained on vectors")
    elif out.suffix not in (".png", ".npy"):
        raise UserError(
            f"--out is {out}; it must end in .png (a grid) or .npy (numbers), or be a folder with "
            f"--separate."
        )


def _fit_if_missing(opened: "Run", name: str) -> None:
    if opened.has_prior(name):
        return
    from glo.cli.training_progress import make_reporter
    from glo.training.events import Fitting

    reporter = make_reporter()
    try:
        for share in opened.fit_prior(name):
            reporter.show(Fitting(prior=name, share=share))
    finally:
        reporter.close()


def _write_each(examples: "Tensor", folder: Path, seed: int) -> int:
    import numpy as np

    from glo.imaging.grids import grid, save_picture

    folder.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(examples):
        path = folder / f"seed{seed}-{number:06d}"
        if example.ndim == 3:
            save_picture(grid(example.unsqueeze(0), frame=False), path.with_suffix(".png"))
        else:
            np.save(path.with_suffix(".npy"), example.numpy())
    print(f"{len(examples)} samples of seed {seed}: one file each in {folder}")
    return 0
