"""The training data of a run, opened again and known by their fingerprint."""

from pathlib import Path

import numpy as np

from glo.data import Dataset, SourceOptions, open_source
from glo.data.joining import join
from glo.data.options import Split
from glo.errors import UserError
from glo.runs.data_record import RowChange
from glo.runs.run import Run
from glo.utils.row_ranges import parse_rows

__all__ = ["check_shape", "open_training_data", "reading_options"]

Source = str | Path | Dataset


def open_training_data(run: Run, data: Source | None, *, command: str) -> Dataset:
    """Open the data that a run was trained on.

    Args:
        run: the run.
        data: where they lie now; None: where the run got them from.
        command: the words before DATA of the command that takes them, for the sentences.

    Returns:
        N examples as the decoder sees them; where rows were added to the run or forgotten since,
        those that it has now.

    Raises:
        UserError: they cannot be opened, or are others.
    """
    try:
        options = reading_options(run, limit=run.settings.limit)
        samples = open_source(run.data.source if data is None else data, options)
    except UserError as error:
        if data is not None:
            raise
        raise UserError(
            f"The training data of {run.folder} cannot be opened ({str(error).rstrip('.')}); give "
            f"them as DATA: {command} DATA."
        ) from None
    check_shape(run, samples, "The training data")
    changes = run.data.changes
    wanted = changes[0].before if changes else run.data.fingerprint
    if samples.fingerprint != wanted:
        n = run.data.n_trained
        raise UserError(
            f"These are not the data that {run.folder} was trained on: {n:,} examples "
            f"with fingerprint {wanted}, where {samples.name} has {len(samples):,} "
            f"with {samples.fingerprint}; give those from {run.data.source}: {command} DATA."
        )
    for change in changes:
        samples = _changed(run, samples, change)
    return run.seen(samples)


def _changed(run: Run, samples: Dataset, change: RowChange) -> Dataset:
    if change.kind == "forgotten":
        kept = np.delete(np.arange(len(samples)), parse_rows(change.rows, len(samples)).numpy())
        return samples.subset(kept)
    try:
        more = open_source(change.source, _adding_options(run, change))
    except UserError as error:
        raise UserError(
            f"The {change.n:,} examples that were added to {run.folder} from {change.source} "
            f"cannot be opened ({str(error).rstrip('.')}); put them back to see it beside its data."
        ) from None
    if more.fingerprint != change.fingerprint:
        raise UserError(
            f"{change.source} is no longer what {change.n:,} rows of {run.folder} were added from; "
            f"put that back to see it beside its data."
        )
    return join(samples, more)


def _adding_options(run: Run, change: RowChange) -> SourceOptions:
    kept, shape = run.settings, run.data.shape
    split: Split = "test" if change.split == "test" else "train"
    if len(shape) != 3:
        return SourceOptions(split=split, limit=change.limit or None)
    size = shape[1] if shape[1] == shape[2] else None
    return SourceOptions(
        size=size, channels=shape[0], crop=kept.crop, split=split, limit=change.limit or None
    )


def reading_options(run: Run, *, limit: int | None) -> SourceOptions:
    """Return how the run's settings read a source."""
    kept = run.settings
    return SourceOptions(size=kept.size, channels=kept.channels, crop=kept.crop, limit=limit)


def check_shape(run: Run, samples: Dataset, what: str) -> None:
    """Check that examples have the shape of those that the run was trained on.

    Raises:
        UserError: they have another; the sentence begins with `what`.
    """
    if samples.shape != run.data.shape:
        given, wanted = (" x ".join(map(str, s)) for s in (samples.shape, run.data.shape))
        raise UserError(
            f"{what}, {samples.name}, are of {given}, but {run.folder} was trained on "
            f"examples of {wanted}; give data of that shape."
        )
