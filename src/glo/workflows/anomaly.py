"""Anomaly scores of encoded examples: how unusual residual and code are for a run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import Tensor

from glo.errors import UserError
from glo.metrics.anomaly import AnomalyScorer, AnomalyScores
from glo.priors import MixturePrior
from glo.runs.reconstruction_errors import read_calibration
from glo.runs.run import Run
from glo.utils.row_ranges import evenly_spaced
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["AnomalyModel", "fit_anomaly_model"]

# A mixture of so many components is fitted to so many codes in about a second. Measured on digits
# of a class that was left out, its density separates them about as well as that of the best number,
# which is searched for where codes are few and would be overfitted.
_COMPONENTS, _MAX_CODES, _FEW_CODES = 16, 10_000, 5000


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class AnomalyModel:
    """Density of the codes of a run, and scores that are calibrated on ordinary examples.

    Attributes:
        scorer: scores of residuals and distances.
        log_prob: function from codes, (B, D), to their log densities, (B,).
    """

    scorer: AnomalyScorer
    log_prob: Callable[[Tensor], Tensor]

    @with_torch_defaults
    def score(self, codes: Tensor, residuals: Tensor) -> AnomalyScores:
        """Return the scores of m encoded examples.

        Args:
            codes: (m, D), found by the default search.
            residuals: (m,), mean squared errors of the decoded codes.
        """
        return self.scorer.score(residuals, -self.log_prob(codes.cpu()))


@with_torch_defaults
def fit_anomaly_model(run: Run) -> AnomalyModel:
    """Fit the anomaly scores of a finished run, in about a second; its data are not needed.

    The distance of a code is its negative log density under the prior of the run, or, where the
    prior has none, such as flow matching, under a mixture of Gaussians. Ordinary examples are the
    calibration examples of the run (see `glo.workflows.fit_calibration`), or, where it has none,
    its training examples.

    Raises:
        UserError: the run is not finished, has one example, or has no recorded errors.
    """
    run.check_finished(
        unfinished="its residuals still change", single="a percentile needs at least two"
    )
    rows = evenly_spaced(run.data.n, min(run.data.n, _MAX_CODES))
    log_prob = getattr(run.prior(), "log_prob", None)
    if log_prob is None:
        mixture = MixturePrior(components=None if len(rows) < _FEW_CODES else _COMPONENTS)
        mixture.fit(run.codes[rows], seed=run.settings.seed)
        log_prob = mixture.log_prob
    calibration = read_calibration(run.folder, run.settings.code_dim)
    if calibration is None:
        errors = run.errors
        if errors is None:
            raise UserError(
                f"{run.folder} has no errors of its examples, so nothing is known of ordinary "
                f"residuals; train it again."
            )
        calibration = errors[rows], run.codes[rows]
    residuals, codes = calibration
    scorer = AnomalyScorer.fit(residuals, -log_prob(codes))
    return AnomalyModel(scorer=scorer, log_prob=log_prob)
