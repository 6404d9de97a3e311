"""Deep generative decoder: codes, decoder and a mixture of Gaussians on the codes learned by MAP.

The package's training loop with one more term in the loss of a code, the negative log density of
the mixture, whose own weights, means and variances are learned from the same batches. Pixels have
Gaussian noise of a fixed deviation, so that the loss of a code is, up to constants and divided by
their number F,

    mean squared error - 2 noise^2 / F log sum_k w_k N(z; m_k, s_k^2)

Priors of the mixture are those of the paper's experiment with Fashion-MNIST: a soft ball of radius
1 for the means, a Gaussian for the logarithms of the variances; the prior of the weights is flat.

Reference:
    Schuster and Krogh, "The deep generative decoder: MAP estimation of representations improves
    modelling of single-cell RNA data", Bioinformatics 2023.
"""

import math
from typing import Any, final

import torch
from torch import Tensor, nn

from glo.latents.optim import RowAdam, RowOptimizer, row_gradient
from glo.latents.table import LatentCodes
from glo.priors import MixturePrior

__all__ = ["CodeMixture", "MixtureRowAdam"]

_COMPONENTS = 100
# Of a pixel in [-1, 1]: a tenth of the whole range.
_NOISE = 0.2
# First deviation of the components, about that of initial codes; spread of its logarithm's prior.
_DEVIATION, _SPREAD = 0.15, 1.0
_RATE = 1e-2


@final
class CodeMixture(nn.Module):
    """Mixture of Gaussians with diagonal covariances on codes.

    Args:
        codes: initial codes (N, D), of which the first means are drawn.
        seed: seed of the draw.
    """

    def __init__(self, codes: Tensor, *, seed: int) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(seed)
        means = codes[torch.randperm(len(codes), generator=draws)[:_COMPONENTS]]
        self.n = len(codes)
        self.means = nn.Parameter(means.clone())
        self.log_variances = nn.Parameter(torch.full_like(means, 2 * math.log(_DEVIATION)))
        self.logits = nn.Parameter(torch.zeros(len(means)))

    def log_prob(self, codes: Tensor) -> Tensor:
        """Return the log density of codes (B, D), up to a constant."""
        precisions = (-self.log_variances).exp()
        # |z - m|^2 / s^2 by three products, without a tensor of (B, K, D).
        distances = codes.square() @ precisions.T - 2 * codes @ (self.means * precisions).T
        constants = (self.means.square() * precisions + self.log_variances).sum(1)
        return (self.logits.log_softmax(0) - (distances + constants) / 2).logsumexp(1)

    def penalty(self) -> Tensor:
        """Return the negative log density of the parameters, up to a constant."""
        ball = nn.functional.softplus(self.means.norm(dim=1) - 1).sum()
        offsets = self.log_variances - 2 * math.log(_DEVIATION)
        return ball + (offsets / _SPREAD).square().sum() / 2

    def prior(self) -> MixturePrior:
        """Return the mixture as a prior of the package."""
        weights = self.logits.detach().double().softmax(0)
        deviations = (self.log_variances.detach().double() / 2).exp()
        state = {"weights": weights, "means": self.means.detach().double()}
        return MixturePrior().load_state_dict(state | {"factors": deviations.diag_embed()})


@final
class MixtureRowAdam(RowOptimizer):
    """Adam per row on the loss of a code and the mixture's term, with a step of the mixture.

    Args:
        latents: codes.
        mixture: mixture on the codes, trained by Adam.
        width: F, numbers of an example.
        lr: peak learning rate of the codes; the mixture's follows the same schedule.
        betas: decay of the codes' moments.
    """

    def __init__(
        self,
        latents: LatentCodes,
        mixture: CodeMixture,
        *,
        width: int,
        lr: float,
        betas: tuple[float, float],
    ) -> None:
        super().__init__(latents.parameters(), {"lr": lr})
        self._lr = lr
        self._codes, self._mixture = latents.weight, mixture
        self._weight = 2 * _NOISE**2 / width
        self._rows = RowAdam(latents.parameters(), betas=betas)
        self._optimizer = torch.optim.Adam(mixture.parameters(), lr=_RATE, fused=True)

    def state_shapes(self, n: int, dim: int) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """Return those of Adam per row."""
        return self._rows.state_shapes(n, dim)

    def row_update(
        self, state: dict[str, Tensor], gradient: Tensor, group: dict[str, Any]
    ) -> Tensor:
        """Return that of Adam per row, (B, D)."""
        return self._rows.row_update(state, gradient, self._rows.param_groups[0] | group)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update the codes that have a gradient, and the mixture."""
        self.step_rows(*row_gradient(self._codes))

    def step_rows(self, rows: Tensor, gradient: Tensor, moves: Tensor | None = None) -> None:
        """Update codes by gradients of their losses, (B, D), and the mixture."""
        with torch.enable_grad():
            codes = self._codes.detach()[rows].requires_grad_()
            losses = -self._mixture.log_prob(codes)
            self._optimizer.zero_grad()
            # Of all rows together: the mean over the batch stands for the mean over N.
            (losses.mean() + self._mixture.penalty() / self._mixture.n).backward()
        self._optimizer.param_groups[0]["lr"] = _RATE * self.param_groups[0]["lr"] / self._lr
        self._optimizer.step()
        assert codes.grad is not None, "the loss depends on the codes"
        own = gradient + self._weight * len(rows) * codes.grad
        super().step_rows(rows, own, moves)
