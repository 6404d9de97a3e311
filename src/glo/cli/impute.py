"""`glo restore` of a run of vectors: imputation of a table."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from glo.cli.open_run import print_remarks
from glo.errors import UserError
from glo.utils.files import fresh_path, parts_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from glo.data.options import Split
    from glo.utils.distributed import ProcessGroup
    from glo.workflows.encode import ProgressCallback
    from glo.workflows.incomplete_table import IncompleteTable
    from glo.workflows.run import Run

__all__ = ["IncompleteInput", "impute_table"]


@final
@dataclass(frozen=True, kw_only=True)
class IncompleteInput:
    """What was given to impute.

    Attributes:
        files: files that were named.
        split: split of the source.
        limit: maximum number of rows.
        image_options: options that were given, but are for images.
    """

    files: tuple[str, ...]
    split: "Split"
    limit: int | None
    image_options: list[str]


def impute_table(
    run: "Run", given: IncompleteInput, ranks: "ProcessGroup", *, n_solutions: int, out: Path | None
) -> int:
    """Impute the missing values of one table, save it, and print a summary."""
    import torch

    from glo.cli.parts import complete
    from glo.workflows.encode import batch_rows
    from glo.workflows.impute import impute
    from glo.workflows.parts import Parts, run_digest

    table, out = _open(run, given, out)
    if ranks.is_main:
        print_remarks(run, table.dataset)
    numbers = table.missing.any(axis=1).nonzero()[0]
    made_by = {"run": run_digest(run), "number of solutions": str(n_solutions)}
    incomplete = table.dataset.subset(numbers)
    size = batch_rows(n_solutions)
    parts = Parts(parts_folder(out), incomplete, size, made_by)

    def compute(rows: "Tensor", show: "ProgressCallback") -> dict[str, "Tensor"]:
        chosen, initial = torch.from_numpy(numbers)[rows], run.initial_codes
        return impute(run, table.dataset, chosen, initial, n_solutions=n_solutions, callback=show)

    code = complete(parts, ranks, compute, len(numbers))
    if code == 0 and ranks.is_main:
        _finish(table, numbers, parts.table(), out, n_solutions)
        parts.remove()
    return code


def _open(run: "Run", given: IncompleteInput, out: Path | None) -> tuple["IncompleteTable", Path]:
    """Open the table, and return it with the file to write."""
    from glo.data import SourceOptions
    from glo.data.column_spec import split_column_spec
    from glo.data.readers.tables import TABLES
    from glo.data.table_writer import check_table
    from glo.workflows.impute import check_incomplete_table
    from glo.workflows.incomplete_table import open_incomplete_table

    reason = f"{run.folder} was trained on vectors"
    numbers = f"{reason} of {run.data.shape[0]} numbers"
    if given.image_options:
        raise UserError(
            f"--{given.image_options[0]} is for runs of images, and {numbers}; leave it out."
        )
    if len(given.files) != 1:
        raise UserError(
            f"{numbers}, so glo restore imputes one table, and {len(given.files)} were given; name "
            f"one {', '.join(TABLES)}, .npy or .npz file."
        )
    (source,) = given.files
    path = Path(split_column_spec(source)[0]).expanduser()
    suffix = path.suffix.lower()
    suffix = suffix if suffix in TABLES else ".npy"
    out = out or fresh_path(Path("restored").with_suffix(suffix))
    check_table(out, reason)
    if out.exists() and path.exists() and out.samefile(path):
        raise UserError(f"--out is {out}, the incomplete table itself; give another name.")
    options = SourceOptions(split=given.split, limit=given.limit, reading=run.reading)
    table = open_incomplete_table(source, options)
    check_incomplete_table(run, table)
    return table, out


def _finish(
    table: "IncompleteTable",
    numbers: "NDArray[np.int64]",
    found: dict[str, "Tensor"],
    out: Path,
    n_solutions: int,
) -> None:
    """Save the table with the values of its incomplete rows, and describe them."""
    import numpy as np

    values = np.full(table.missing.shape, np.nan, table.dataset.rows.dtype)
    values[numbers] = found["values"].numpy()
    table.save(out, values)
    count, rows, residual = int(table.missing.sum()), len(numbers), found["residual"]
    spread = f", {n_solutions} solutions {float(found['spread'].mean()):.3f} apart"
    print(
        f"{count:,} missing value{'s' * (count > 1)} in {rows:,} of {len(table.dataset):,} rows "
        f"imputed: {out}\nresidual {float(residual.mean()):.5f} on average, highest "
        f"{float(residual.max()):.5f}{spread if n_solutions > 1 else ''}; "
        f"{int(found['converged'].sum()):,} of {rows:,} searches converged"
    )
