"""Base distribution of flow matching: a coarse mixture, and its draws coupled with codes."""

from typing import Self, final

import torch
from torch import Tensor

from glo.priors.mixture import MixturePrior

__all__ = ["BaseDistribution"]

# The finer the mixture, the less the field has to change, until the mixture takes longer to fit
# than the field saves.
_ROWS_PER_COMPONENT, _MAX_COMPONENTS = 200, 256
_MAX_COMPONENTS_PER_CODE, _BLOCK = 8, 2048
_PREFIX = "base."


@final
class BaseDistribution:
    """A mixture of Gaussians on whitened codes, with the posterior of its components.

    Args:
        mixture: fitted mixture.

    Example:
        >>> codes = torch.tensor([[-1.0], [1.0]]).repeat(50, 1)
        >>> base = BaseDistribution.fit(codes, components=2, seed=0)
        >>> starts = base.sample_coupled(*base.posterior(codes), torch.Generator().manual_seed(0))
        >>> bool((starts.sign() == codes.sign()).all())
        True
    """

    def __init__(self, mixture: MixturePrior) -> None:
        self.mixture = mixture
        state = mixture.state_dict()
        self._means, self._factors = state["means"].float(), state["factors"].float()
        identity = torch.eye(self._means.shape[1], dtype=torch.float64)
        inverse = torch.linalg.solve_triangular(state["factors"], identity, upper=False)
        # (D, K D): one product gives the distance of a code from every component.
        self._inverse = inverse.flatten(0, 1).T.float().contiguous()
        self._offset = (inverse @ state["means"][:, :, None]).flatten().float()
        log_dets = state["factors"].diagonal(dim1=1, dim2=2).log().sum(1)
        self._constant = (state["weights"].log() - log_dets).float()

    @classmethod
    def fit(cls, white: Tensor, *, components: int | None, seed: int) -> Self:
        """Fit the mixture to whitened codes, of which at most 60,000 are used.

        Args:
            white: whitened codes, (N, D).
            components: K, or None: one per 200 rows, at most 256.
            seed: seed of the mixture's first means.
        """
        number = components or max(1, min(len(white) // _ROWS_PER_COMPONENT, _MAX_COMPONENTS))
        return cls(MixturePrior(components=number).fit(white, seed=seed))

    def posterior(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the likeliest components of each code, at most eight, likeliest first.

        Args:
            codes: whitened codes, float32 (B, D).

        Returns:
            Components, int64 (B, T), and their posterior probabilities, (B, T), which sum to 1.
        """
        parts = [self._top_components(part) for part in codes.split(_BLOCK)]
        which, weights = (torch.cat(column) for column in zip(*parts, strict=True))
        return which, weights / weights.sum(1, keepdim=True)

    def _top_components(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        shape = (len(codes), *self._means.shape)
        residuals = torch.addmm(self._offset, codes, self._inverse, beta=-1).view(shape)
        logits = self._constant - residuals.square().sum(2) / 2
        top = logits.softmax(1).topk(min(_MAX_COMPONENTS_PER_CODE, len(self._means)))
        return top.indices, top.values

    def sample_coupled(self, which: Tensor, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Draw for each code a point of the component to which it belongs, (B, D).

        The component is drawn with its posterior probability given the code, so that the points of
        all codes together are distributed as the mixture.

        Args:
            which: components of each code, from `posterior`, (B, T).
            weights: their probabilities, (B, T).
            generator: generator of the draws.
        """
        drawn = which.gather(1, torch.multinomial(weights, 1, generator=generator)).squeeze(1)
        noise = torch.randn(len(which), self._means.shape[1], generator=generator)
        return self._means[drawn] + (self._factors[drawn] @ noise.unsqueeze(2)).squeeze(2)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the mixture's tensors with the prefix `base.`."""
        return {_PREFIX + name: tensor for name, tensor in self.mixture.state_dict().items()}

    @classmethod
    def from_state_dict(cls, state: dict[str, Tensor]) -> Self:
        """Create the distribution from its tensors, among others."""
        tensors = {k.removeprefix(_PREFIX): v for k, v in state.items() if k.startswith(_PREFIX)}
        return cls(MixturePrior().load_state_dict(tensors))
