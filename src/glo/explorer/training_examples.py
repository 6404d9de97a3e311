"""Training data and labels of a run, opened on first use."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from glo.data import Dataset
from glo.errors import UserError
from glo.explorer.protocol import NotFound
from glo.explorer.scheduler import compute_once
from glo.runs.run import Run


@final
class TrainingExamples:
    """Training data of a run, opened once, on first use."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def dataset(self) -> Dataset | None:
        """All N examples as the decoder sees them, or None where they cannot be opened."""
        return self._open()[0]

    def require(self) -> Dataset:
        """Return all N examples, or raise NotFound where they cannot be opened."""
        dataset, reason = self._open()
        if dataset is None:
            raise NotFound(f"The training examples are not available: {reason}.")
        return dataset

    @compute_once
    def _open(self) -> tuple[Dataset | None, str]:
        try:
            return self._run.open_data(command="glo evaluate RUN"), ""
        except (UserError, OSError) as error:
            # The rest of the message advises on the command line's arguments.
            return None, str(error).split(";")[0].rstrip(".")


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """Labels of a run, numbered 0, 1, 2, ... without gaps, by number in the data and by name.

    `rows` is the label of each example, int32 (N,), -1 for none; None without labels.
    """

    numbers: tuple[int, ...]
    names: tuple[str, ...]
    rows: NDArray[np.int32] | None

    def of(self, row: int) -> int | None:
        """Return the label of an example, or None."""
        label = -1 if self.rows is None else int(self.rows[row])
        return label if label >= 0 else None


def read_labels(run: Run, examples: TrainingExamples) -> Labels:
    """Return the labels of a run, or those of its data while the run is not finished."""
    values = None if run.labels is None else run.labels.numpy()
    names = run.label_names
    if values is None and examples.dataset is not None and examples.dataset.labels is not None:
        values, names = np.asarray(examples.dataset.labels), examples.dataset.label_names
    if values is None:
        return Labels(numbers=(), names=(), rows=None)
    numbers = np.unique(values[values >= 0])
    rows = np.where(values < 0, -1, np.searchsorted(numbers, values)).astype(np.int32)
    return Labels(
        numbers=tuple(numbers.tolist()), names=tuple(names[k] for k in numbers.tolist()), rows=rows
    )
