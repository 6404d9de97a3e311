"""`glo evaluate`: how good reconstructions and samples of a run are."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from glo.cli.open_run import DecoderOption, open_with_decoder

if TYPE_CHECKING:
    from rich.table import Table

    from glo.workflows.evaluation_plan import Plan

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
    """Measure reconstructions and samples of a run against examples it never saw.

    Distances say what real images would get in the place of the samples: the floor.

    Args:
        run: The run folder.
        data: The training data; unset: where the run got them from.
        heldout: Examples that were never trained; unset: the test split of the training data.
        prior: Which prior to draw samples from; repeat it, or put commas between. Unset: every
            prior that is fitted in the run.
        features: What distances are taken in: digits, efficientnet, thumbnails, or a TorchScript
            or safetensors file. Unset: digits for MNIST, efficientnet for colour where it is
            installed, else thumbnails.
        n: How many training examples, held-out examples and samples.
        seed: Which examples and which samples.
        out: A .json file for all figures; unset: evaluation.json in the run folder.
    """
    from rich.console import Console

    from glo.errors import UserError
    from glo.utils.json_toml import write_json
    from glo.workflows.evaluation_plan import prepare
    from glo.workflows.evaluation_table import sentences

    out = out or run / "evaluation.json"
    if out.suffix != ".json" or out.is_dir():
        raise UserError(f"--out is {out}; it must be a file that ends in .json.")
    names = tuple(dict.fromkeys(name for word in prior or () for name in word.split(",") if name))
    opened = open_with_decoder(run, decoder)
    plan = prepare(opened, data, heldout=heldout, priors=names, features=features, n=n, seed=seed)
    values = _follow(plan)
    write_json(out, values)
    console = Console(highlight=False, markup=False)
    console.print(_title(values), soft_wrap=True)
    console.print()
    console.print(_table(values))
    console.print()
    for sentence in sentences(values):
        console.print(sentence, soft_wrap=True)
    print(f"All figures: {out}")
    return 0


def _follow(plan: "Plan") -> dict[str, Any]:
    from glo.cli.progress import ProgressBar
    from glo.workflows.evaluate import Evaluation
    from glo.workflows.evaluate import evaluate as events

    values: dict[str, Any] = {}
    with ProgressBar() as bar:
        for event in events(plan):
            if isinstance(event, Evaluation):
                values = event.values
            else:
                bar.show(event.part, event.done, event.total)
    return values


def _table(values: dict[str, Any]) -> "Table":
    """Lay the figures out: a column for each thing that was measured, a row for each measure."""
    from rich import box
    from rich.table import Table

    from glo.workflows.evaluation_table import figures

    columns, rows = figures(values)
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
