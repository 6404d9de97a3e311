"""`glo sample`: new examples from a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, open_with_decoder

if TYPE_CHECKING:
    from torch import Tensor

    from glo.runs.run import Run


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

    Sample j of a seed does not depend on the number of samples.

    Args:
        run: The run folder.
        n: Number of samples.
        seed: Seed of the samples.
        prior: gaussian, mixture, flow-matching, normalizing-flow or imle; a prior that the run
            lacks is fitted first and saved. Unset: the run's default.
        label: Draw only examples of this class, by its name, from a run of labelled data.
        temperature: Factor of the prior's spread; below 1: more typical, less varied.
        out: A .png for a grid, a .npy for numbers, a folder with --separate; for vectors also a
            .csv or .parquet file; unset: in the run's samples folder.
        separate: Write each example to a file of its own.
    """
    import numpy as np

    from glo.data import to_uint8
    from glo.data.table_writer import save_vectors
    from glo.errors import UserError
    from glo.imaging.grids import grid, save_picture
    from glo.utils.files import safe_name

    opened = open_with_decoder(run, decoder)
    if n < 1:
        raise UserError(f"--n is {n}; it must be at least 1.")
    prior = prior or opened.prior_name
    suffix = "" if label is None else f"-label-{safe_name(label)}"
    name = f"{prior}{suffix}-seed{seed}-n{n}"
    file = f"{name}.{'png' if opened.is_images else 'npy'}"
    out = out or run / "samples" / (name if separate else file)
    if not separate:
        _check_out(opened, out)
    _fit_if_missing(opened, prior)
    examples = opened.sample(n, seed=seed, temperature=temperature, prior=prior, label=label)
    if separate:
        _write_each(examples, out, seed)
        print(f"{n} samples of seed {seed}: one file each in {out}")
        return 0
    out.parent.mkdir(parents=True, exist_ok=True)
    if not opened.is_images:
        save_vectors(out, examples.numpy(), opened.reading.columns)
    elif out.suffix == ".npy":
        np.save(out, to_uint8(examples))
    else:
        save_picture(grid(examples), out)
    print(f"{n} samples of seed {seed} from the {prior} prior: {out}")
    return 0


def _check_out(run: "Run", out: Path) -> None:
    from glo.data.table_writer import check_table
    from glo.errors import UserError

    if not run.is_images:
        check_table(out, f"{run.folder} was trained on vectors")
    elif out.suffix not in (".png", ".npy"):
        raise UserError(
            f"--out is {out}; it must end in .png (a grid) or .npy (numbers), or be a folder with "
            f"--separate."
        )


def _fit_if_missing(run: "Run", prior: str) -> None:
    from glo.cli.progress import TaskProgress

    if not run.has_prior(prior):
        with TaskProgress() as bar:
            run.fit_prior(
                prior,
                lambda share: bar.show(f"fitting the {prior} prior, %", round(100 * share), 100),
            )


def _write_each(examples: "Tensor", folder: Path, seed: int) -> None:
    import numpy as np

    from glo.imaging.grids import grid, save_picture

    folder.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(examples):
        path = folder / f"seed{seed}-{number:06d}"
        if example.ndim == 3:
            save_picture(grid(example.unsqueeze(0), frame=False), path.with_suffix(".png"))
        else:
            np.save(path.with_suffix(".npy"), example.numpy())
