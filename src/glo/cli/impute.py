"""`glo restore` of a run of vectors: imputation of a table."""

from pathlib import Path
from typing import TYPE_CHECKING

from glo.cli.open_run import print_remarks
from glo.errors import UserError

if TYPE_CHECKING:
    from glo.data.options import Split
    from glo.runs.run import Run

__all__ = ["impute_table"]


def impute_table(
    run: "Run",
    files: tuple[str, ...],
    image_options: list[str],
    *,
    n_solutions: int,
    split: "Split",
    limit: int | None,
    out: Path | None,
) -> int:
    """Impute the missing values of one table, save it, and print a summary."""
    from glo.cli.progress import TaskProgress
    from glo.data import SourceOptions
    from glo.data.column_spec import split_column_spec
    from glo.data.readers.tables import TABLES
    from glo.data.table_writer import check_table
    from glo.workflows.encode import prepare_search
    from glo.workflows.impute import check_incomplete_table, impute
    from glo.workflows.incomplete_table import open_incomplete_table

    reason = f"{run.folder} was trained on vectors"
    numbers = f"{reason} of {run.data.shape[0]} numbers"
    if image_options:
        raise UserError(f"--{image_options[0]} is for runs of images, and {numbers}; leave it out.")
    if len(files) != 1:
        raise UserError(
            f"{numbers}, so glo restore imputes one table, and {len(files)} were given; name one "
            f"{', '.join(TABLES)}, .npy or .npz file."
        )
    (source,) = files
    path = Path(split_column_spec(source)[0]).expanduser()
    suffix = path.suffix.lower()
    out = out or Path("restored").with_suffix(suffix if suffix in TABLES else ".npy")
    check_table(out, reason)
    if out.exists() and path.exists() and out.samefile(path):
        raise UserError(f"--out is {out}, the incomplete table itself; give another name.")
    options = SourceOptions(split=split, limit=limit, reading=run.reading)
    table = open_incomplete_table(source, options)
    check_incomplete_table(run, table)
    print_remarks(run, table.dataset)
    initial_codes = prepare_search(run)
    count, rows = int(table.missing.sum()), int(table.missing.any(axis=1).sum())
    with TaskProgress() as bar:
        imputation = impute(run, table, initial_codes, n_solutions=n_solutions, callback=bar.show)
    table.save(out, imputation.values)
    spread = f", {n_solutions} solutions {float(imputation.spread.mean()):.3f} apart"
    print(
        f"{count:,} missing value{'s' * (count > 1)} in {rows:,} of {len(table.dataset):,} rows "
        f"imputed: {out}\nresidual {float(imputation.residuals.mean()):.5f} on average, highest "
        f"{float(imputation.residuals.max()):.5f}{spread if n_solutions > 1 else ''}; "
        f"{int(imputation.converged.sum()):,} of {rows:,} searches converged"
    )
    return 0
