"""A mixture of Gaussians with full covariances."""

import math
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.errors import UserError
from glo.latents.constraints import Constraint
from glo.priors.base import Prior, check_codes
from glo.priors.whitening import Whitening

__all__ = ["MixturePrior"]

_MOST_COMPONENTS = 256
# How many rows are used at most, and how many of them are held out while searching. The best number
# of components grows with the rows, so the search needs as many rows as the fit.
_ROWS, _HELD = 60_000, 6000
# One round of EM takes about 4 N K D^2 operations. Bounds on these, not a clock, limit the time, so
# that a seed gives the same mixture on a slow machine. Numbers of components whose first rounds
# alone go beyond the limit are not tried.
_SEARCH_WORK, _SEARCH_LIMIT, _WORK = 1e10, 1e11, 1.6e11
_FEWEST_ROUNDS, _MOST_ROUNDS = 3, 100
# The search ends when this many doublings in a row have not raised the held-out likelihood.
_PATIENCE = 2


@final
class MixturePrior(Prior):
    """Fit z ~ sum_k w_k N(m_k, C_k) to the codes by expectation maximisation.

    The codes are whitened, k-means (started by k-means++) gives the first means, and a ridge is
    added to every covariance. The number of components is the one of 1, 2, 4, ..., 256 under which
    held-out codes (a fifth, at most 6,000) are likeliest after a few rounds; a larger number must
    gain more than a standard error, and the search stops after two doublings without. The best
    mixture then goes on, with all codes. At most 60,000 codes are used, and the rounds are bounded:
    about a minute on one core for 60,000 codes of 32 numbers.

    Args:
        constraint: what held for the codes.
        components: K, or None: chosen by held-out likelihood.
        ridge: added to the variance in every direction, as a share of the codes' variance.

    Raises:
        UserError: components is below 1 or ridge is not above 0, or it samples before fitting.

    Reference:
        Ghosh et al., "From Variational to Deterministic Autoencoders", ICLR 2020, section 4: a
        mixture fitted to codes after training.

    Example:
        >>> codes = torch.tensor([[-1.0], [1.0]]).repeat(50, 1)
        >>> drawn = MixturePrior(components=2).fit(codes).sample(200)
        >>> bool(((drawn.abs() - 1.0).abs() < 0.5).all())
        True
    """

    name: ClassVar[str] = "mixture"

    def __init__(
        self,
        *,
        constraint: Constraint = "free",
        components: int | None = None,
        ridge: float = 1e-3,
    ) -> None:
        super().__init__(constraint=constraint)
        if components is not None and components < 1:
            raise UserError(f"components is {components}; give 1 or more, or None to choose.")
        if not 0 < ridge < math.inf:
            raise UserError(f"ridge is {ridge:g}; give a share of the variance above 0, as 0.001.")
        self.components = components
        self.ridge = ridge
        self.weights_: Tensor | None = None
        self.means_: Tensor | None = None
        self.factors_: Tensor | None = None
        self._bounds: Tensor | None = None

    def fit_iter(self, codes: Tensor, *, seed: int = 0) -> Iterator[float]:
        """Choose the number of components, then fit them all to `codes`, (N, D)."""
        rows = check_codes(codes)
        whiten = Whitening.fit(rows)
        ready = whiten.forward(rows).float().numpy()
        ready = ready[np.random.default_rng(seed % 2**64).permutation(len(ready))[:_ROWS]]
        if self.components is None:
            start = yield from _search(ready, self.ridge, seed)
        else:
            start = _mixture(min(self.components, len(ready)), self.ridge, seed)
        found = _maximise(start, ready, _WORK)
        self.weights_ = torch.from_numpy(found.weights_).double()
        self.means_ = whiten.inverse(torch.from_numpy(found.means_))
        factors = torch.linalg.cholesky(torch.from_numpy(found.covariances_).double())
        self.factors_ = whiten.factor @ factors
        self._bounds = _bounds(self.weights_)
        yield 1.0

    @property
    def noise_dim(self) -> int:
        """D + 1: the last number chooses the component."""
        return self._fitted()[1].shape[1] + 1

    def from_noise(self, noise: Tensor, *, temperature: float) -> Tensor:
        """Return m_k + temperature L_k e with L_k L_k^T = C_k, float32 (B, D).

        e are the first D numbers of the noise, and k follows from the last one, u: it is the first
        with w_1 + ... + w_k > Phi(u), Phi being the normal distribution function.
        """
        weights, means, factors = self._fitted()
        assert self._bounds is not None, "it is fitted"
        rows = noise.double()
        # The sum of all weights can miss 1 by its rounding.
        which = (self._bounds <= rows[:, -1:]).sum(1).clamp(max=len(weights) - 1)
        spread = (factors[which] @ rows[:, :-1, None]).squeeze(2)
        return (means[which] + temperature * spread).float()

    def log_prob(self, codes: Tensor) -> Tensor:
        """Return log sum_k w_k N(z; m_k, C_k), before the constraint, float64 (B,).

        Args:
            codes: (B, D).
        """
        weights, means, factors = self._fitted()
        rows, total = codes.double(), torch.full((len(codes),), -math.inf, dtype=torch.float64)
        for weight, mean, factor in zip(weights, means, factors, strict=True):
            apart = torch.linalg.solve_triangular(factor, (rows - mean).T, upper=False)
            constant = weight.log() - factor.diagonal().log().sum()
            total = torch.logaddexp(total, constant - apart.square().sum(0) / 2)
        return total - rows.shape[1] / 2 * math.log(2 * math.pi)

    def state_dict(self) -> dict[str, Tensor]:
        """Return weights (K,), means (K, D), Cholesky factors (K, D, D), all float64."""
        weights, means, factors = self._fitted()
        return {"weights": weights, "means": means, "factors": factors}

    def load_state_dict(self, state: dict[str, Tensor]) -> Self:
        """Take up what `state_dict` returned."""
        self.weights_, self.means_ = state["weights"], state["means"]
        self.factors_ = state["factors"]
        self._bounds = _bounds(self.weights_)
        return self

    def _fitted(self) -> tuple[Tensor, Tensor, Tensor]:
        if self.weights_ is None or self.means_ is None or self.factors_ is None:
            raise UserError("This mixture prior was not fitted; call fit(codes) first.")
        return self.weights_, self.means_, self.factors_


def _bounds(weights: Tensor) -> Tensor:
    """Return the normal quantiles of w_1 + ... + w_k: where the number that chooses changes its k.

    Once, and not Phi of every number: programs that samplers are exported to lack it in float64.
    """
    bounds: Tensor = torch.special.ndtri(weights.cumsum(0))
    return bounds


def _search(rows: NDArray[np.float32], ridge: float, seed: int) -> Generator[float, None, Any]:
    """Return the likeliest mixture to start from, yielding the share of the whole fit that is done.

    Returns:
        GaussianMixture of scikit-learn, unfitted, with weights, means and precisions to start from.
    """
    held = min(len(rows) // 5, _HELD)
    held_rows, rows = rows[:held], rows[held:]
    most = min(_MOST_COMPONENTS, len(rows)) if held else 1
    numbers = [2**i for i in range(most.bit_length())]
    numbers = [n for n in numbers if _FEWEST_ROUNDS * _round_work(rows, n) <= _SEARCH_LIMIT]
    best, best_scores, idle = _mixture(1, ridge, seed), None, 0
    for number in numbers if len(numbers) > 1 else []:
        found = _maximise(_mixture(number, ridge, seed), rows, _SEARCH_WORK)
        scores = found.score_samples(held_rows)
        idle = 0 if best_scores is None or _better(scores, best_scores) else idle + 1
        if idle == 0:
            best, best_scores = found, scores
        yield number / (2 * numbers[-1])
        if idle == _PATIENCE:
            break
    if best_scores is not None:
        best = _mixture(
            best.n_components,
            ridge,
            seed,
            weights_init=best.weights_,
            means_init=best.means_,
            precisions_init=best.precisions_,
        )
    return best


def _better(scores: NDArray[Any], than: NDArray[Any]) -> bool:
    """Tell whether the gain is beyond its own standard error: if in doubt, fewer components."""
    gain = scores - than
    return float(gain.mean()) > float(gain.std()) / math.sqrt(len(gain))


def _mixture(components: int, ridge: float, seed: int, **start: NDArray[Any]) -> Any:
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(components, reg_covar=ridge, random_state=seed % 2**32, **start)


def _maximise(mixture: Any, rows: NDArray[np.float32], work: float) -> Any:
    """Fit `mixture` to `rows`, (N, D), with as many rounds as `work` allows, and return it."""
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    rounds = int(work / _round_work(rows, mixture.n_components))
    mixture.set_params(max_iter=min(max(rounds, _FEWEST_ROUNDS), _MOST_ROUNDS))
    # Products of so few columns gain nothing from a second thread, and where another program holds
    # a core the threads wait for each other ten times as long as they work.
    with warnings.catch_warnings(), _no_denormals(), threadpool_limits(1):
        # It stops at its bound, not at convergence; and codes that repeat give fewer clusters.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(rows)


def _round_work(rows: NDArray[np.float32], components: int) -> float:
    n, dim = rows.shape
    return float(4 * n * components * dim**2)


@contextmanager
def _no_denormals() -> Iterator[None]:
    """Take numbers below 1e-38 for zero: most responsibilities are, and they slow EM down 2.5x."""
    tiny = torch.tensor([1e-40])
    before = not bool((tiny * 2 > 0).all())
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
