"""Rows that come and go: examples added to a finished run, and examples that it forgets.

The decoder is not trained any more. What a run holds of an example is one row: its code, what the
optimiser remembers of it, its error and its label; and what was made from all rows together, priors
and pictures, is made again. One rename decides: a run is as it was, or changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from glo.data import Dataset
from glo.decoders import DecoderLike
from glo.errors import UserError
from glo.imaging.previews import draw_progress
from glo.runs.run import Run, open_run
from glo.runs.training_data import check_shape
from glo.runs.transaction import commit, staged
from glo.training.callbacks import Message
from glo.training.refine import squared_errors
from glo.utils.lock import RunLock
from glo.utils.row_ranges import check_row, rows_text
from glo.workflows.encode import encode_dataset, prepare_search
from glo.workflows.row_data import Progress, RowData, renew
from glo.workflows.row_notes import SHOWN, STALE, added_notes, removed_notes

__all__ = ["add_rows", "forget_rows"]

_ERRORS = "errors.safetensors"


def add_rows(
    folder: Path,
    samples: Dataset,
    *,
    source: str,
    split: str = "",
    limit: int = 0,
    refit: bool = True,
    device: str = "auto",
    decoder: DecoderLike | None = None,
    callback: Progress | None = None,
) -> list[Message]:
    """Add examples to a finished run: their codes are found by search under its decoder.

    The codes of the rows before keep every bit.

    Args:
        folder: of the run.
        samples: n examples of the shape that the run was trained on.
        source: what the user named as the data.
        split: which part of the source they are; empty for the usual one.
        limit: how many of its first examples they are; 0 for all.
        refit: whether the Gaussian, the run's prior and the labels are fitted anew.
        device: that searches.
        decoder: custom decoder; None: a decoder of this package.
        callback: called with the name of a part of the work, its units done and all its units; an
            exception that it raises leaves the run unchanged.

    Returns:
        sentences on the change.

    Raises:
        UserError: the run is not finished or in use, or the examples are of another shape or wholly
            missing.
        OSError: it could not be written; the run is as it was.

    Example:
        >>> more = open_source("more.npy")  # doctest: +SKIP
        >>> add_rows(Path("runs/mnist"), more, source="more.npy")  # doctest: +SKIP
    """
    with _held(folder, decoder) as run, staged(folder) as new:
        check_shape(run.folder, run.data, samples, "The added examples")
        codes = _search(run, samples, device, callback)
        seen = run.standardize(samples)
        errors = squared_errors(run.decoder, codes, seen, run.settings)
        held = RowData.of(run)
        labels, names = _numbered(held, samples)
        facts = run.data.added(
            len(samples),
            source=source,
            split=split,
            limit=limit,
            name=samples.name,
            fingerprint=samples.fingerprint,
        )
        after = held.joined(codes, errors, labels, names)
        renew(run, after, facts, new, keep=True, refit=refit, callback=callback)
        if seen.is_images:
            draw_progress(new / "samples", "added", run.decoder, codes, seen, run.settings)
        sentences = list(added_notes(run, errors, refit=refit))
        commit(folder, gone=STALE)
    return sentences


def forget_rows(
    folder: Path,
    rows: Tensor,
    *,
    refit: bool = True,
    decoder: DecoderLike | None = None,
    callback: Progress | None = None,
) -> list[Message]:
    """Remove examples from a finished run: codes, moments, counts, errors, labels, and pictures.

    The rows after them move up: row numbers are those of the examples that are left.

    Args:
        folder: of the run.
        rows: int64 (m,), which ones.
        refit: whether the Gaussian and the run's prior are fitted to the codes that are left; if
            not, the run has no prior until one is fitted. In no case is one kept that saw the rows.
        decoder: custom decoder; None: a decoder of this package.
        callback: called with the name of a part of the work, its units done and all its units; an
            exception that it raises leaves the run unchanged.

    Returns:
        sentences on the change.

    Raises:
        UserError: the run is not finished or in use, a row is not there, or none would be left.
        OSError: it could not be written; the run is as it was.

    Example:
        >>> forget_rows(Path("runs/mnist"), torch.tensor([3]))  # doctest: +SKIP
    """
    with _held(folder, decoder) as run, staged(folder) as new:
        stays = _left(run, rows)
        held = RowData.of(run)
        facts = run.data.forgotten(run.data.n - len(stays), rows_text(_others(stays, run.data.n)))
        after = held.subset(stays)
        renew(run, after, facts, new, keep=False, refit=refit, callback=callback)
        sentences = list(removed_notes(run, len(stays), refit=refit))
        for name in SHOWN:
            if (folder / name).is_dir():
                # An empty one takes the place of the old.
                (new / name).mkdir(exist_ok=True)
        # Of an older run they are not written anew.
        commit(folder, gone=[*STALE, *(() if after.errors is not None else (_ERRORS,))])
    return sentences


@contextmanager
def _held(folder: Path, decoder: DecoderLike | None) -> Iterator[Run]:
    # What is no run is said before a lock is put there.
    open_run(folder)
    lock = RunLock(folder)
    try:
        run = open_run(folder, decoder=decoder)
        if not run.checkpoint.finished or run.summary is None:
            raise UserError(
                f"{folder} is not finished, so its rows cannot be changed yet; run the command "
                f"that began it again."
            )
        yield run
    finally:
        lock.release()


def _search(run: Run, samples: Dataset, device: str, callback: Progress | None) -> Tensor:
    initial_codes = prepare_search(run, device=device)
    codes = [
        batch.inversion.codes
        for batch in encode_dataset(run, samples, initial_codes, callback=callback)
    ]
    return torch.cat(codes)


def _numbered(held: RowData, samples: Dataset) -> tuple[Tensor, tuple[str, ...]]:
    """Return the labels of added examples in the numbers of the run, and all names there are."""
    none = torch.full((len(samples),), -1, dtype=torch.int64)
    if held.labels is None or samples.labels is None:
        return none, held.names
    own = torch.from_numpy(np.array(samples.labels, dtype=np.int64))
    if not held.names:
        # Numbers of no name: words cannot be any of them.
        return (none if samples.label_names else own), ()
    given = samples.label_names or tuple(str(each) for each in range(int(own.max()) + 1))
    present = [given[int(each)] for each in own.unique()]
    names = tuple(dict.fromkeys([*held.names, *present]))
    number = {name: place for place, name in enumerate(names)}
    return torch.tensor([number[given[int(each)]] for each in own]), names


def _left(run: Run, rows: Tensor) -> Tensor:
    n = run.data.n
    if not len(rows):
        raise UserError("No row was named; give at least one, such as 3,17,40-49.")
    for row in (int(rows.min()), int(rows.max())):
        check_row(row, n)
    left = _others(rows, n)
    if not len(left):
        raise UserError(
            f"These are all {n:,} rows of {run.folder}, and without them nothing is left; delete "
            f"the folder instead."
        )
    return left


def _others(rows: Tensor, n: int) -> Tensor:
    chosen = torch.ones(n, dtype=torch.bool)
    chosen[rows.long()] = False
    return chosen.nonzero().flatten()
