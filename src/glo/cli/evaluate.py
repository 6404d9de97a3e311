"""`glo evaluate`: measure reconstructions and samples of a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, open_with_decoder, print_remarks

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["evaluate"]


def evaluate(
    run: Path,
    data: str | None = None,
    /,
    *,
    heldout: str | None = None,
    prior: Annotated[list[str] | None, Parameter(negative_iterable=())] = None,
    features: str | None = None,
    n: int = 10_000,
    seed: int = 0,
    out: Path | None = None,
    decoder: DecoderOption = None,
) -> int:
    """Measure reconstructions and samples of a run against held-out examples.

    Every distance comes with its floor: the distance of real images in the place of the samples.

    Args:
        run: The run folder.
        data: The training data; unset: the source recorded in the run.
        heldout: Held-out examples; unset: the test split of the training data.
        prior: Prior to sample; repeat it, or put commas between. Unset: every fitted prior of the
            run.
        features: Features of the distances: digits, efficientnet, thumbnails, or a TorchScript or
            safetensors file. Unset: digits for MNIST, efficientnet for colour where it is
            installed, else thumbnails.
        n: Number of training examples, held-out examples and samples.
        seed: Seed of the choice of examples and of the samples.
        out: A .json file for all figures; unset: evaluation.json in the run folder.
    """
    from rich.console import Console

    from glo.cli.progress import TaskProgress
    from glo.errors import UserError
    from glo.utils.json_toml import write_json
    from glo.workflows.evaluate import evaluate as measure
    from glo.workflows.evaluation_plan import prepare
    from glo.workflows.evaluation_table import figures, half_figures, sentences

    out = out or run / "evaluation.json"
    if out.suffix != ".json" or out.is_dir():
        raise UserError(f"--out is {out}; it must be a file that ends in .json.")
    names = tuple(dict.fromkeys(name for word in prior or () for name in word.split(",") if name))
    opened = open_with_decoder(run, decoder)
    plan = prepare(opened, data, heldout=heldout, priors=names, features=features, n=n, seed=seed)
    if plan.heldout is not None:
        print_remarks(opened, plan.heldout)
    with TaskProgress() as bar:
        values = measure(plan, callback=bar.show)
    write_json(out, values)
    console = Console(highlight=False, markup=False)
    console.print(_title(values), soft_wrap=True)
    console.print()
    console.print(_table(figures(values)))
    console.print()
    if "halves" in values:
        console.print(_table(half_figures(values)))
        console.print()
    for sentence in sentences(values):
        console.print(sentence, soft_wrap=True)
    print(f"All figures: {out}")
    return 0


def _table(figures: tuple[list[str], list[tuple[str, list[str]]]]) -> "Table":
    """Return a table of figures."""
    from rich import box
    from rich.table import Table

    columns, rows = figures
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0), show_edge=False)
    table.add_column("", no_wrap=True)
    for name in columns:
        # Five priors side by side fit a terminal when long names take two lines.
        heading = name.replace("-", "-\n") if len(name) > 8 else name
        table.add_column(heading, justify="right", overflow="fold")
    for label, cells in rows:
        table.add_row(label, *cells)
    return table


def _title(values: dict[str, Any]) -> str:
    title = f"{values['run']}: {values['n']:,} examples of {values['data']['name']}"
    if "features" in values:
        about = values["features"]
        title += f" against {values['n']:,} held-out ones, in {about['name']}"
    return title
