"""What is known of the training examples themselves: their data and their labels."""

import threading
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from glo.data import Dataset
from glo.errors import UserError
from glo.runs.run import Run

__all__ = ["Labels", "NotThere", "TrainingExamples", "read_labels"]


class NotThere(UserError):
    """What was asked for does not exist; the message says why."""


@final
class TrainingExamples:
    """The training data of a run, opened once, when they are first asked for.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._opened = False
        self._samples: Dataset | None = None
        self._reason = ""

    @property
    def samples(self) -> Dataset | None:
        """All N examples as the decoder sees them, or None where they cannot be opened."""
        with self._lock:
            if not self._opened:
                self._open()
        return self._samples

    def require(self) -> Dataset:
        """Return the examples.

        Raises:
            NotThere: they cannot be opened.
        """
        samples = self.samples
        if samples is None:
            raise NotThere(self._reason)
        return samples

    def _open(self) -> None:
        try:
            self._samples = self._run.open_data(command="glo evaluate RUN")
        except (UserError, OSError) as error:
            # The command line's advice, to name other data, is of no use on a page.
            reason = str(error).split(";")[0].rstrip(".")
            self._reason = f"The training examples themselves are not at hand: {reason}."
        self._opened = True


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """The labels of a run, counted 0, 1, 2, ... without gaps.

    Attributes:
        numbers: of each label, its number in the data.
        names: of each label.
        rows: int32 (N,), which of these labels each example has, -1 for none; None: not known.
    """

    numbers: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    rows: NDArray[np.int32] | None = None

    def of(self, row: int) -> int | None:
        """Return which label an example has, or None."""
        label = -1 if self.rows is None else int(self.rows[row])
        return label if label >= 0 else None


def read_labels(run: Run, originals: TrainingExamples) -> Labels:
    """Return the labels of a run, or those of its data while the run is not finished."""
    labels, names = run.labels, run.label_names
    given = None if labels is None else labels.numpy()
    samples = originals.samples if given is None else None
    if samples is not None and samples.labels is not None:
        given, names = np.asarray(samples.labels), samples.label_names
    numbers = [] if given is None else np.unique(given).tolist()
    every = [number for number in numbers if number >= 0]
    return Labels(
        numbers=tuple(every),
        names=tuple(names[each] if each < len(names) else str(each) for each in every),
        rows=None if given is None else _places(given, every),
    )


def _places(given: NDArray[np.int64], every: list[int]) -> NDArray[np.int32]:
    places = np.searchsorted(np.array(every, np.int64), given)
    return np.where(given < 0, -1, places).astype(np.int32)
