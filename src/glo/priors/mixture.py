"""Mixture of Gaussians with full covariances."""

import math
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.priors.base import Prior, check_codes, check_positive
from glo.priors.whitening import Whitening
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["MixturePrior"]

_MAX_COMPONENTS = 256
# Rows that are used, and rows held out in the search. The best number of components grows with the
# rows, so the search uses as many rows as the fit.
_MAX_ROWS, _MAX_HELDOUT = 60_000, 6000
# One round of EM takes about 4 N K D^2 operations. Bounds on these, not a clock, limit the time, so
# that a seed gives the same mixture on a slow machine. Numbers of components whose first rounds
# alone exceed the limit are skipped.
_SEARCH_OPERATIONS, _MAX_SEARCH_OPERATIONS, _OPERATIONS = 1e10, 1e11, 1.6e11
_MIN_ROUNDS, _MAX_ROUNDS = 3, 100
# Doublings in a row without a higher held-out likelihood that end the search.
_PATIENCE = 2


@final
@dataclass(kw_only=True, eq=False)
class MixturePrior(Prior):
    """Fit z ~ sum_k w_k N(m_k, C_k) to the codes by expectation maximization (EM).

    The codes are whitened, k-means (initialized by k-means++) gives the first means, and a ridge is
    added to every covariance. The number of components is the one of 1, 2, 4, ..., 256 with the
    highest likelihood of held-out codes (a fifth, at most 6,000) after a few rounds; a larger
    number must gain more than a standard error, and the search stops after two doublings without.
    The best mixture is then trained further on all codes. At most 60,000 codes are used, and the
    rounds are bounded: about a minute on one core for 60,000 codes of 32 numbers.

    Args:
        constraint: constraint of the codes.
        components: K, or None: chosen by held-out likelihood.
        ridge: variance added in every direction, as a share of the codes' variance, above 0.

    Attributes:
        weights_: float64 (K,), None before fitting, as the next two.
        means_: float64 (K, D).
        factors_: Cholesky factors of the covariances, float64 (K, D, D).

    Raises:
        UserError: components is below 1 or ridge is not above 0.

    Reference:
        Ghosh et al., "From Variational to Deterministic Autoencoders", ICLR 2020, section 4: a
        mixture fitted to codes after training.

    Example:
        >>> codes = torch.tensor([[-1.0], [1.0]]).repeat(50, 1)
        >>> samples = MixturePrior(components=2).fit(codes).sample(200)
        >>> bool(((samples.abs() - 1.0).abs() < 0.5).all())
        True
    """

    name: ClassVar[str] = "mixture"
    tensors: ClassVar[tuple[str, ...]] = ("weights", "means", "factors")
    components: int | None = None
    ridge: float = 1e-3
    weights_: Tensor | None = field(default=None, init=False, repr=False)
    means_: Tensor | None = field(default=None, init=False, repr=False)
    factors_: Tensor | None = field(default=None, init=False, repr=False)
    _thresholds: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_positive(self, "ridge")
        if self.components is not None:
            check_positive(self, "components")

    @with_torch_defaults
    def fit_iter(self, codes: Tensor, *, seed: int = 0) -> Iterator[float]:
        """Choose the number of components, then fit the mixture to `codes`, (N, D)."""
        rows = check_codes(codes)
        whitening = Whitening.fit(rows)
        white = whitening.forward(rows).float().numpy()
        white = white[np.random.default_rng(seed % 2**64).permutation(len(white))[:_MAX_ROWS]]
        if self.components is None:
            initial = yield from _search(white, self.ridge, seed)
        else:
            initial = _mixture(min(self.components, len(white)), self.ridge, seed)
        fitted = _fit(initial, white, _OPERATIONS)
        factors = torch.linalg.cholesky(torch.from_numpy(fitted.covariances_).double())
        weights = torch.from_numpy(fitted.weights_).double()
        means = whitening.inverse(torch.from_numpy(fitted.means_))
        self.load_state_dict(
            {"weights": weights, "means": means, "factors": whitening.factor @ factors}
        )
        yield 1.0

    @property
    def noise_dim(self) -> int:
        """D + 1: the last number selects the component."""
        return self._fitted(self.means_).shape[1] + 1

    def from_noise(self, noise: Tensor, *, temperature: float) -> Tensor:
        """Return m_k + temperature L_k e with L_k L_k^T = C_k, float32 (B, D).

        e are the first D numbers of the noise, and the last one, u, selects k: the first with
        w_1 + ... + w_k > Phi(u), Phi being the normal distribution function.
        """
        _, means, factors = self.state_dict().values()
        rows = noise.double()
        # The sum of all weights can miss 1 by its rounding.
        which = (self._fitted(self._thresholds) <= rows[:, -1:]).sum(1).clamp(max=len(means) - 1)
        offsets = (factors[which] @ rows[:, :-1, None]).squeeze(2)
        return (means[which] + temperature * offsets).float()

    def log_prob(self, codes: Tensor) -> Tensor:
        """Return log sum_k w_k N(z; m_k, C_k), before the constraint, float64 (B,).

        Args:
            codes: (B, D).
        """
        rows = codes.double()
        total = rows.new_full((len(rows),), -math.inf)
        for weight, mean, factor in zip(*self.state_dict().values(), strict=True):
            residuals = torch.linalg.solve_triangular(factor, (rows - mean).T, upper=False)
            constant = weight.log() - factor.diagonal().log().sum()
            total = torch.logaddexp(total, constant - residuals.square().sum(0) / 2)
        return total - rows.shape[1] / 2 * math.log(2 * math.pi)

    def load_state_dict(self, state: dict[str, Tensor]) -> Self:
        """Set the fitted tensors to those of `state_dict`, and return the prior itself."""
        super().load_state_dict(state)
        # Quantiles of the cumulative weights, once, and not Phi of every number: ONNX lacks both in
        # float64.
        self._thresholds = torch.special.ndtri(state["weights"].cumsum(0))
        return self


def _search(rows: NDArray[np.float32], ridge: float, seed: int) -> Generator[float, None, Any]:
    """Return the likeliest mixture, yielding the fraction of the whole fit that is done.

    Returns:
        GaussianMixture of scikit-learn, unfitted, with initial weights, means and precisions.
    """
    n_heldout = min(len(rows) // 5, _MAX_HELDOUT)
    heldout, rows = rows[:n_heldout], rows[n_heldout:]
    most = min(_MAX_COMPONENTS, len(rows)) if n_heldout else 1
    numbers = [2**i for i in range(most.bit_length())]
    numbers = [n for n in numbers if _MIN_ROUNDS * _operations(rows, n) <= _MAX_SEARCH_OPERATIONS]
    best, best_scores, checks_without_gain = _mixture(1, ridge, seed), None, 0
    for number in numbers if len(numbers) > 1 else []:
        mixture = _fit(_mixture(number, ridge, seed), rows, _SEARCH_OPERATIONS)
        scores = mixture.score_samples(heldout)
        if best_scores is None or _is_better(scores, best_scores):
            best, best_scores, checks_without_gain = mixture, scores, 0
        else:
            checks_without_gain += 1
        yield number / (2 * numbers[-1])
        if checks_without_gain == _PATIENCE:
            break
    if best_scores is None:
        return best
    return _mixture(
        best.n_components,
        ridge,
        seed,
        weights_init=best.weights_,
        means_init=best.means_,
        precisions_init=best.precisions_,
    )


def _is_better(scores: NDArray[Any], others: NDArray[Any]) -> bool:
    """Return whether the gain exceeds its standard error; in doubt, fewer components are taken."""
    gain = scores - others
    return float(gain.mean()) > float(gain.std()) / math.sqrt(len(gain))


def _mixture(components: int, ridge: float, seed: int, **initial: NDArray[Any]) -> Any:
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(components, reg_covar=ridge, random_state=seed % 2**32, **initial)


def _fit(mixture: Any, rows: NDArray[np.float32], operations: float) -> Any:
    """Fit `mixture` to `rows`, (N, D), within a number of operations, and return it."""
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    rounds = int(operations / _operations(rows, mixture.n_components))
    mixture.set_params(max_iter=min(max(rounds, _MIN_ROUNDS), _MAX_ROUNDS))
    # Products of so few columns gain nothing from a second thread, and on a busy core the threads
    # wait for each other ten times as long as they work.
    with warnings.catch_warnings(), _flush_denormals(), threadpool_limits(1):
        # It stops at its bound, not at convergence; and repeated codes give fewer clusters.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(rows)


def _operations(rows: NDArray[np.float32], components: int) -> float:
    n, dim = rows.shape
    return float(4 * n * components * dim**2)


@contextmanager
def _flush_denormals() -> Iterator[None]:
    """Round numbers below 1e-38 to zero: most responsibilities are, and they slow EM down 2.5x."""
    tiny = torch.tensor([1e-40])
    before = not bool((tiny * 2 > 0).all())
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
