"""`glo restore` of a run of vectors: the gaps of a table, filled."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glo.data.options import Split
    from glo.runs.run import Run
    from glo.workflows.impute import Filled
    from glo.workflows.incomplete_table import IncompleteTable

__all__ = ["fill_table"]


def fill_table(
    run: "Run",
    files: tuple[str, ...],
    for_images: list[str],
    *,
    answers: int | None,
    split: "Split",
    limit: int | None,
    out: Path | None,
) -> int:
    """Fill the gaps of a table, write it, and say what was done.

    Args:
        run: of vectors.
        files: one table.
        for_images: the names of those options that were given and are for images alone.
        answers: for each row; None: one, as for `glo encode`.
        split: of a source that has two.
        limit: the first so many rows alone.
        out: a .csv, .parquet or .npy file; None: restored, with the ending of the table.

    Raises:
        UserError: a mistake of the user's.
    """
    from glo.data import SourceOptions
    from glo.data.column_spec import split_column_spec
    from glo.workflows.encode import prepare_search
    from glo.workflows.impute import check_incomplete_table, fill
    from glo.workflows.incomplete_table import open_incomplete_table

    source = _source(run, files, for_images)
    place = Path(split_column_spec(source)[0]).expanduser()
    out = out or Path("restored").with_suffix(_ending(place))
    _check_out(run, place, out)
    sheet = open_incomplete_table(source, SourceOptions(split=split, limit=limit))
    check_incomplete_table(run, sheet)
    count = 1 if answers is None else answers
    found = _follow(fill(run, sheet, starts=prepare_search(run), answers=count), sheet)
    sheet.save(out, found.made)
    _conclude(sheet, found, out, count)
    return 0


def _source(run: "Run", files: tuple[str, ...], for_images: list[str]) -> str:
    from glo.errors import UserError

    about = f"{run.folder} was trained on vectors of {run.data.shape[0]} numbers"
    if for_images:
        raise UserError(f"--{for_images[0]} is for runs of images, and {about}; leave it away.")
    if len(files) != 1:
        raise UserError(
            f"{about}, so glo restore fills the gaps of one table, and {len(files)} were given; "
            f"name one .csv, .parquet, .npy or .npz file."
        )
    return files[0]


def _ending(place: Path) -> str:
    from glo.data.readers.tables import TABLES

    suffix = place.suffix.lower()
    return suffix if suffix in TABLES else ".npy"


def _check_out(run: "Run", place: Path, out: Path) -> None:
    from glo.data.table_writer import check_table
    from glo.errors import UserError

    check_table(out, f"{run.folder} was trained on vectors")
    if out.exists() and place.exists() and out.samefile(place):
        raise UserError(f"--out is {out}, the table with the gaps itself; give another name.")


def _follow(steps: "Iterator[float | Filled]", sheet: "IncompleteTable") -> "Filled":
    from glo.cli.progress import ProgressBar
    from glo.workflows.impute import Filled

    found, total = None, int(sheet.gaps.any(axis=1).sum())
    with ProgressBar() as bar:
        for step in steps:
            if isinstance(step, Filled):
                found = step
            else:
                bar.show("filling", int(step * total), total)
    assert found is not None, "the last step is what was found"
    return found


def _conclude(sheet: "IncompleteTable", found: "Filled", out: Path, answers: int) -> None:
    gaps, rows = int(sheet.gaps.sum()), len(found.residual)
    apart = f", {answers} answers {float(found.spread.mean()):.3f} apart" if answers > 1 else ""
    print(
        f"{gaps:,} gap{'s' * (gaps > 1)} in {rows:,} of {len(sheet.samples):,} rows filled: {out}\n"
        f"residual {float(found.residual.mean()):.5f} on average, highest "
        f"{float(found.residual.max()):.5f}{apart}; {int(found.converged.sum()):,} of {rows:,} "
        f"searches converged"
    )
