"""Inputs of a report: a run, the errors of its rows, and its data if available."""

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
from glo.training.evaluation import squared_errors
from glo.utils.json_toml import read_json
from glo.utils.random import permutation

__all__ = ["ReportContext", "read_context"]

# Rows whose errors are measured where the run has no errors: enough for quantiles.
_MEASURED_ROWS = 1000


@final
@dataclass(frozen=True, kw_only=True)
class ReportContext:
    """Inputs of the sections of a report.

    Attributes:
        dataset: the training data, standardized as in training, or None.
        missing_data: a sentence on why there are no data, or empty.
        rows: int64 (M,), rows of known error by rising error.
        errors: float32 (M,), their squared errors.
        labels: int64 (N,), labels of all rows, or None.
        priors: fitted priors, the run's default first.
        missing_priors: a sentence for each prior that cannot be read.
        summary: summary.json, or empty.
    """

    run: Run
    finished: bool
    dataset: Dataset | None
    missing_data: str
    rows: Tensor
    errors: Tensor
    labels: Tensor | None
    label_names: tuple[str, ...]
    priors: tuple[Prior, ...]
    missing_priors: tuple[str, ...]
    records: list[dict[str, Any]]
    summary: dict[str, Any]
    evaluation: dict[str, Any] | None

    @property
    def noun(self) -> str:
        """Noun for one example."""
        return "image" if self.run.is_images else "example"

    def decode(self, codes: Tensor) -> Tensor:
        """Decode codes (B, D) to examples (B, *shape) in the units of the decoder."""
        return decode(self.run.decoder, codes, self.run.settings.precision)

    def examples(self, rows: Tensor) -> Tensor:
        """Return training examples, or their reconstructions where there are no data."""
        if self.dataset is None:
            return self.decode(self.run.codes[rows])
        return self.dataset.batch(rows)


def read_context(run: Run, dataset: Dataset | None, *, missing_data: str = "") -> ReportContext:
    """Read the inputs of a report."""
    finished = run.checkpoint.finished and run.summary is not None
    rows, errors = _errors(run, dataset, finished)
    labels, label_names = run.labels, run.label_names
    if labels is None and dataset is not None and dataset.labels is not None:
        # The labels of an unfinished run are in its data only.
        labels = torch.from_numpy(np.array(dataset.labels, dtype=np.int64))
        label_names = dataset.label_names
    priors: list[Prior] = []
    missing_priors: list[str] = []
    for name in run.fitted_priors if finished and run.data.n > 1 else ():
        # A damaged prior, or one whose library is missing, must not cost the whole page.
        try:
            priors.append(run.prior(name))
        except UserError as error:
            missing_priors.append(f"The {name} prior is left out: {error}")
    return ReportContext(
        run=run,
        finished=finished,
        dataset=dataset,
        missing_data=missing_data,
        rows=rows,
        errors=errors,
        labels=labels,
        label_names=label_names,
        priors=tuple(priors),
        missing_priors=tuple(missing_priors),
        records=read_metrics_log(run.folder / "metrics.jsonl"),
        summary=(run.summary or {}) if finished else {},
        evaluation=_evaluation(run),
    )


def _errors(run: Run, dataset: Dataset | None, finished: bool) -> tuple[Tensor, Tensor]:
    errors = run.errors if finished else None
    rows = torch.arange(run.data.n)
    if errors is None:
        if dataset is None:
            return rows[:0], torch.zeros(0)
        rows = permutation(run.data.n, 0, 0)[:_MEASURED_ROWS].sort().values
        errors = squared_errors(run.decoder, run.codes[rows], dataset.subset(rows), run.settings)
    order = errors.argsort(stable=True)
    return rows[order], errors[order]


def _evaluation(run: Run) -> dict[str, Any] | None:
    try:
        values = read_json(run.folder / "evaluation.json")
    except (OSError, UserError):
        return None
    return values if isinstance(values, dict) else None
