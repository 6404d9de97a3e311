"""What a report is made from: a run, the errors of its rows, and its data where they are there."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from glo.data import Dataset
from glo.decoders.decode import decode
from glo.errors import UserError
from glo.priors import Prior
from glo.runs.metrics_log import read_metrics_log
from glo.runs.run import Run
from glo.training.refine import squared_errors
from glo.utils.json_toml import read_json
from glo.utils.random import permutation

__all__ = ["Labels", "ReportContext", "gather"]

# Where the errors of all rows are not kept, so many are measured: enough for quantiles.
_MEASURED = 1000


@final
@dataclass(frozen=True, kw_only=True)
class Labels:
    """The label of every row, int64 (N,), and the names of the labels."""

    values: Tensor
    names: tuple[str, ...]

    def name(self, label: int) -> str:
        """Return the name of a label, or its number where it has none."""
        return self.names[label] if 0 <= label < len(self.names) else str(label)


@final
@dataclass(frozen=True, kw_only=True)
class ReportContext:
    """What the sections of a report take.

    Attributes:
        run: finished or not.
        finished: whether it has a summary and priors.
        samples: the training data as the decoder sees them, or None.
        absent: a sentence that says why there are none, or empty.
        rows: int64 (M,), rows whose errors are known, by rising error.
        errors: float32 (M,), theirs.
        labels: of all rows, or None.
        priors: those that are fitted, the run's own first.
        left_out: a sentence for each prior that cannot be read.
        records: lines of metrics.jsonl.
        summary: summary.json, or nothing.
        evaluation: evaluation.json, or None.
    """

    run: Run
    finished: bool
    samples: Dataset | None
    absent: str
    rows: Tensor
    errors: Tensor
    labels: Labels | None
    priors: tuple[Prior, ...]
    left_out: tuple[str, ...]
    records: list[dict[str, Any]]
    summary: dict[str, Any]
    evaluation: dict[str, Any] | None

    @property
    def is_images(self) -> bool:
        """Whether the examples are images, not vectors."""
        return self.run.is_images

    def decoded(self, codes: Tensor) -> Tensor:
        """Return what codes decode to, as the decoder sees examples: (B, *shape)."""
        return decode(self.run.decoder, codes, self.run.settings.precision)

    def examples(self, rows: Tensor) -> Tensor:
        """Return training examples, or their reconstructions where the data are not there."""
        if self.samples is None:
            return self.decoded(self.run.codes[rows])
        return self.samples.batch(rows)


def gather(run: Run, samples: Dataset | None, *, absent: str = "") -> ReportContext:
    """Read everything that a report needs.

    Args:
        run: finished or not.
        samples: its training data as the decoder sees them, or None.
        absent: why there are none.

    Raises:
        UserError: it has no whole checkpoint.
    """
    finished = run.checkpoint.finished and run.summary is not None
    rows, errors = _measured(run, samples, finished)
    priors, left_out = _priors(run) if finished and run.data.n > 1 else ((), ())
    return ReportContext(
        run=run,
        finished=finished,
        samples=samples,
        absent=absent,
        rows=rows,
        errors=errors,
        labels=_labels(run, samples),
        priors=priors,
        left_out=left_out,
        records=read_metrics_log(run.folder / "metrics.jsonl"),
        summary=(run.summary or {}) if finished else {},
        evaluation=_evaluation(run),
    )


def _measured(run: Run, samples: Dataset | None, finished: bool) -> tuple[Tensor, Tensor]:
    errors = run.errors if finished else None
    rows = torch.arange(run.data.n)
    if errors is None:
        if samples is None:
            return rows[:0], torch.zeros(0)
        rows = permutation(run.data.n, 0, 0)[:_MEASURED].sort().values
        errors = squared_errors(run.decoder, run.codes[rows], samples.subset(rows), run.settings)
    order = errors.argsort(stable=True)
    return rows[order], errors[order]


def _labels(run: Run, samples: Dataset | None) -> Labels | None:
    if run.labels is not None:
        return Labels(values=run.labels, names=run.label_names)
    # A run that is not finished has no labels of its own yet.
    if samples is None or samples.labels is None:
        return None
    values = torch.from_numpy(np.array(samples.labels, dtype=np.int64))
    return Labels(values=values, names=samples.label_names)


def _priors(run: Run) -> tuple[tuple[Prior, ...], tuple[str, ...]]:
    priors: list[Prior] = []
    left_out: list[str] = []
    for name in run.fitted_priors:
        # One that is damaged, or whose library is not here, must not cost the whole page.
        try:
            priors.append(run.prior(name))
        except UserError as error:
            left_out.append(f"The {name} prior is left out: {error}")
    return tuple(priors), tuple(left_out)


def _evaluation(run: Run) -> dict[str, Any] | None:
    try:
        values = read_json(run.folder / "evaluation.json")
    except (OSError, UserError):
        return None
    return values if isinstance(values, dict) else None
